"""Memory: the results of the encoder, to which the decoder attends."""

# Shapes: N sentences, S source length, H encoder output size, A attention size.

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

WHOLE = 16_384
"""Pieces up to which a memory is read at once. `ModelConfig.max_length` is below."""
BLOCK = 2048
"""Pieces of a longer memory that are read at a time, so that no copy of it is made."""


class Memory(NamedTuple):
    """Constant while a sentence is decoded, and shared by all its hypotheses without copies."""

    src: Tensor  # (N, S) source ids
    values: Tensor  # (N, S, H) encoder outputs
    keys: Tensor  # (N, S, A) the values projected once for the attention scores
    mask: Tensor  # (N, S) True at real tokens

    @property
    def is_long(self) -> bool:
        """Whether it is longer than what is read at once."""
        return self.mask.shape[1] > WHOLE

    def blocks(self) -> Iterator[tuple[slice, "Memory"]]:
        """Consecutive parts of all its sentences, without copies, and where they are in S."""
        for part in chunks(self.mask.shape[1], BLOCK):
            yield part, Memory(*(field[:, part] for field in self))


def chunks(pieces: int, chunk: int) -> Iterator[slice]:
    """Slices of up to `chunk` pieces that cover `pieces` in order."""
    for start in range(0, pieces, chunk):
        yield slice(start, min(start + chunk, pieces))
