"""Tiny real networks for the search."""

from collections.abc import Callable
from typing import Literal

import pytest
import torch

from model.config import ModelConfig
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID

MakeNetwork = Callable[..., Seq2Seq]


@pytest.fixture(scope="session")
def make_network() -> MakeNetwork:
    """A function that makes a network with random weights, in eval mode."""

    def make(
        vocab_size: int = 24,
        *,
        input_feeding: bool = False,
        cell: Literal["lstm", "gru", "rnn"] = "lstm",
        attention: Literal["general", "dot", "additive"] = "general",
        attention_heads: int = 1,
        size: int = 32,
        seed: int = 1,
    ) -> Seq2Seq:
        torch.manual_seed(seed)
        network = Seq2Seq(
            ModelConfig(
                vocab_size=vocab_size,
                embedding_size=size,
                encoder_layers=2,
                encoder_size=size,
                decoder_layers=2,
                decoder_size=size,
                cell=cell,
                attention=attention,
                attention_heads=attention_heads,
                input_feeding=input_feeding,
            )
        ).eval()
        with torch.no_grad():  # decided opinions, and sentences of many lengths
            network.output.weight *= 4
            network.output.bias[EOS_ID] += 1.0
        return network

    return make
