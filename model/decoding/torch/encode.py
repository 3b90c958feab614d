"""Encode: sources in batches, of one fixed shape for each padded length."""

# Shapes: N sentences, S source length with EOS, W numbers in a source vector.

from typing import NamedTuple

import torch
from torch import Tensor

from model.config import ModelConfig
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


def padded_length(src: tuple[int, ...] | Tensor) -> int:
    """The length S of the pieces `src` and EOS, rounded up to a multiple of 16.

    With such a length, matrix products and sums over the source are summed in the same order
    whatever padding follows, so padding does not change any bit.
    """
    return -(-(len(src) + 1) // LENGTH_MULTIPLE) * LENGTH_MULTIPLE


def blank_source(config: ModelConfig) -> tuple[int, ...] | Tensor:
    """The shortest source, which shows the shapes of what encoding gives."""
    return torch.zeros(1, config.source_width) if config.source_width else (PAD_ID,)


def encode(
    network: Seq2Seq | InferenceNetwork, sources: list[tuple[int, ...] | Tensor]
) -> list[Encoded]:
    """Encode up to 16 sources of equal `padded_length`.

    The recurrent kernels sum in another order for very few rows. In batches of 16, filled up with
    copies of the last source, the bits of a sentence depend neither on its row nor on the others.
    """
    device = network.device
    rows = sources + sources[-1:] * (ENCODE_ROWS - len(sources))
    src, lengths = _padded(rows, padded_length(rows[0]), network)
    memory = network.encode(sent(src, device), sent(torch.tensor(lengths), device))
    if network.config.source_width:  # ids are kept for networks that copy; nothing reads vectors
        memory = memory._replace(src=memory.mask)
    state = network.start(memory)

    def row(fields: tuple[Tensor, ...], number: int) -> list[Tensor]:
        return [field[number] for field in fields]

    return [
        Encoded(Memory(*row(memory, i)), DecoderState(*row(state, i))) for i in range(len(sources))
    ]


def _padded(
    rows: list[tuple[int, ...] | Tensor], size: int, network: Seq2Seq | InferenceNetwork
) -> tuple[Tensor, list[int]]:
    """Ids (N, S) of pieces and EOS, or vectors (N, S, W), which have no EOS; and the lengths."""
    ids = [[*src, EOS_ID, *[PAD_ID] * (size - len(src) - 1)] for src in rows if type(src) is tuple]
    if ids:
        return torch.tensor(ids), [len(src) + 1 for src in rows]
    dtype = network.source_embedding.weight.dtype if isinstance(network, Seq2Seq) else None
    frames = torch.zeros(len(rows), size, network.config.source_width, dtype=dtype)
    for row, src in zip(frames, rows, strict=True):
        row[: len(src)] = torch.as_tensor(src)
    return frames, [len(src) for src in rows]
