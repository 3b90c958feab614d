"""Parameter shapes: those that the network really has, found without its memory."""

from itertools import product

import pytest
import torch

from model.config import ModelConfig
from model.network.parameter_shapes import parameter_shapes
from model.network.seq2seq import Seq2Seq


@pytest.mark.parametrize(
    ("cell", "attention", "tied", "fed"),
    [
        *product(
            ("lstm", "gru", "rnn"), ("general", "dot", "additive"), (True, False), (True, False)
        )
    ],
)
def test_they_are_those_of_the_network(cell: str, attention: str, tied: bool, fed: bool) -> None:
    config = ModelConfig(
        vocab_size=9,
        embedding_size=4,
        encoder_size=6,
        decoder_size=6,
        decoder_layers=3,
        cell=cell,  # type: ignore[arg-type]
        attention=attention,  # type: ignore[arg-type]
        tie_embeddings=tied,
        input_feeding=fed,
    )

    expected = {n: tuple(value.shape) for n, value in Seq2Seq(config).named_parameters()}

    assert parameter_shapes(config) == expected


def test_they_cost_neither_memory_nor_random_numbers() -> None:
    largest = ModelConfig(vocab_size=1_000_000, embedding_size=16_384, decoder_layers=64)
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)

    assert parameter_shapes(largest)["output.weight"] == (1_000_000, 16_384)  # 65 GB
    assert torch.equal(torch.rand(3), expected)
