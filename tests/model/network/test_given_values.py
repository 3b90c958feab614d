"""Networks of given values: equal to the one that the values are of, and as independent of it."""

from itertools import product

import pytest
import torch

from model.config import ModelConfig
from model.network.given_values import network_of_values
from model.network.seq2seq import Seq2Seq


@pytest.mark.parametrize(
    ("cell", "attention", "tied", "copy"),
    [*product(("lstm", "gru", "rnn"), ("general", "additive"), (True, False), (True, False))],
)
def test_it_is_the_network_of_the_values(cell: str, attention: str, tied: bool, copy: bool) -> None:
    config = ModelConfig(
        vocab_size=9,
        embedding_size=4,
        encoder_size=6,
        decoder_size=6,
        cell=cell,  # type: ignore[arg-type]
        attention=attention,  # type: ignore[arg-type]
        tie_embeddings=tied,
        copy=copy,
        coverage=copy,
    )
    original = Seq2Seq(config).eval()
    values = dict(original.named_parameters())
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)

    made = network_of_values(config, values).eval()

    assert torch.equal(torch.rand(3), expected)  # nothing was drawn
    found = dict(made.named_parameters())
    assert found.keys() == values.keys()
    for name, value in found.items():
        assert torch.equal(value, values[name]) and value.requires_grad, name
        assert value.data_ptr() != values[name].data_ptr(), name
    src, lengths = torch.randint(4, 9, (2, 5)), torch.tensor([5, 3])
    one, other = original.encode(src, lengths), made.encode(src, lengths)
    target = torch.randint(4, 9, (2, 4))
    for ours, theirs in zip(
        made.unroll(target, made.start(other), other),
        original.unroll(target, original.start(one), one),
        strict=True,
    ):
        assert torch.equal(ours, theirs)
    made.output.weight.data.fill_(0)  # tied or not as it should be
    assert bool((made.target_embedding.weight == 0).all()) == tied
