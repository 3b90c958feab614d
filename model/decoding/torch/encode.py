"""Encode: sources in batches, of one fixed shape for each padded length."""

# Shapes: N sentences, S source length with EOS.

from typing import NamedTuple

import torch
from torch import Tensor

from model.decoding.cuda.side_stream import Ready, sent
from model.decoding.torch.inference_network import InferenceNetwork
from model.network.decoder import DecoderState
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID, PAD_ID

LENGTH_MULTIPLE = 16
ENCODE_ROWS = 16


class Encoded(NamedTuple):
    """One encoded sentence: memory and state without their first dimension."""

    memory: Memory
    state: DecoderState
    ready: Ready = None


def padded_length(src: tuple[int, ...]) -> int:
    """The length S of the pieces `src` and EOS, rounded up to a multiple of 16.

    With such a length, matrix products and sums over the source are summed in the same order
    whatever padding follows, so padding does not change any bit.
    """
    return -(-(len(src) + 1) // LENGTH_MULTIPLE) * LENGTH_MULTIPLE


def encode(network: Seq2Seq | InferenceNetwork, sources: list[tuple[int, ...]]) -> list[Encoded]:
    """Encode up to 16 sources of equal `padded_length`.

    The recurrent kernels sum in another order for very few rows. In batches of 16, filled up with
    copies of the last source, the bits of a sentence depend neither on its row nor on the others.
    """
    device = network.device
    rows = sources + sources[-1:] * (ENCODE_ROWS - len(sources))
    size = padded_length(sources[0])
    ids = [[*src, EOS_ID, *[PAD_ID] * (size - len(src) - 1)] for src in rows]
    lengths = [len(src) + 1 for src in rows]
    memory = network.encode(sent(torch.tensor(ids), device), sent(torch.tensor(lengths), device))
    state = network.start(memory)

    def row(fields: tuple[Tensor, ...], number: int) -> list[Tensor]:
        return [field[number] for field in fields]

    return [
        Encoded(Memory(*row(memory, i)), DecoderState(*row(state, i))) for i in range(len(sources))
    ]
