"""Long encoder: the memory of one source of any length, encoded in chunks.

Each layer reads its input twice, from the start and from the end. A sweep carries the recurrent
state from chunk to chunk, so that the outputs are those of the whole sequence: nothing is cut off
or approximated. Time is linear in the length. What grows with the length is the memory itself, and
a second array as wide as a layer while there is a layer above the first: the two take turns as
input and output. Everything else is as large as a chunk.

The work is a generator, which stops after every chunk, so that a caller can look after other things
in between, or give the source up.

For inference: dropout is not applied, and nothing is kept for gradients.
"""

# Shapes: S source length with EOS, C chunk length, E embedding, H encoder output size, h half of it
# (one direction), A attention size.

from collections.abc import Callable, Generator
from typing import TypeVar

import torch
from torch import Tensor

from model.network.encoder import Encoder
from model.network.memory import Memory, chunks
from model.network.seq2seq import Seq2Seq

CHUNK = 2048
"""Pieces of a chunk: enough that calls cost nothing, and some 50 MB for layers of 512."""

Embed = Callable[[Tensor], Tensor]
"""From source ids (C,) to what the first layer reads (C, E)."""

Result = TypeVar("Result")
InChunks = Generator[None, None, Result]
"""Work that stops after every chunk. Whoever runs it turns gradients off."""


def finished(work: InChunks[Result]) -> Result:
    """The result of `work`, run to its end."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result


@torch.no_grad()
def encode_long(network: Seq2Seq, src: Tensor, chunk: int = CHUNK) -> Memory:
    """The memory (N = 1) of the source ids `src` (S,), EOS included: that of `network.encode`.

    `model.decoding.long_memory` tells beforehand what it takes.
    """

    def embed(ids: Tensor) -> Tensor:
        return torch.as_tensor(network.source_embedding(ids) * network.input_scale)

    values = finished(encode_values(network.encoder, embed, src, chunk))
    attention, keys = network.decoder.attention, values
    if attention.kind != "dot":
        keys = values.new_empty(len(src), attention.key.out_features)
        for part in chunks(len(src), chunk):
            keys[part] = attention.keys(values[part])
    return memory_of(src, values, keys)


def memory_of(src: Tensor, values: Tensor, keys: Tensor) -> Memory:
    """The memory (N = 1) of one source without padding: (S,), (S, H) and (S, A), not copied."""
    return Memory(
        src=src.unsqueeze(0),
        values=values.unsqueeze(0),
        keys=keys.unsqueeze(0),
        mask=torch.ones(1, len(src), dtype=torch.bool, device=src.device),
    )


def encode_values(encoder: Encoder, embed: Embed, src: Tensor, chunk: int) -> InChunks[Tensor]:
    """Encoder outputs (S, H) of the source ids `src` (S,), `chunk` pieces at a time."""
    outputs = _layer_array(encoder, len(src))
    yield from _run_layer(encoder, 0, lambda part: embed(src[part]), outputs, chunk)
    if len(encoder.forwards) > 1:
        below = _layer_array(encoder, len(src))
        for number in range(1, len(encoder.forwards)):
            below, outputs = outputs, below
            yield from _run_layer(encoder, number, below.__getitem__, outputs, chunk)
    return outputs


def _layer_array(encoder: Encoder, pieces: int) -> Tensor:
    """An uninitialized array for the outputs (S, H) of a layer."""
    width = 2 * encoder.forwards[0].hidden_size
    return next(encoder.parameters()).new_empty(pieces, width)


def _run_layer(
    encoder: Encoder,
    number: int,
    inputs: Callable[[slice], Tensor],
    outputs: Tensor,
    chunk: int,
) -> InChunks[None]:
    """Write the outputs (S, H) of a layer; `inputs` gives what it reads for a part of the source.

    The layers above the first are residual: what they read is added to what they compute.
    """
    ahead, back = encoder.forwards[number], encoder.backwards[number]
    half = ahead.hidden_size
    parts = list(chunks(len(outputs), chunk))
    hidden, cell = outputs.new_zeros(2, 1, half)
    for part in parts:
        x = inputs(part)
        result, hidden, cell = ahead.resume(x, hidden, cell)
        outputs[part, :half] = result + x[:, :half] if number else result
        yield
    hidden, cell = outputs.new_zeros(2, 1, half)
    for part in reversed(parts):
        x = inputs(part).flip(0)
        result, hidden, cell = back.resume(x, hidden, cell)
        outputs[part, half:] = (result + x[:, half:] if number else result).flip(0)
        yield
