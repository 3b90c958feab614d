"""Sentences held as one array of ids, with what is needed to part them again."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Side(NamedTuple):
    """Sentences of one language, one after the other."""

    ids: NDArray[np.int32]  # of all
    lengths: NDArray[np.int64]  # of each

    @classmethod
    def joined(cls, sentences: Sequence[NDArray[np.int32]]) -> "Side":
        """One side of these sentences, of which there is one at least."""
        lengths = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
        return cls(np.concatenate(sentences), lengths)

    def split(self) -> list[NDArray[np.int32]]:
        """The sentences."""
        bounds = [0, *np.cumsum(self.lengths).tolist()]
        return [self.ids[start:end] for start, end in pairwise(bounds)]

    def only(self, kept: NDArray[np.bool_]) -> "Side":
        """The sentences for which `kept` is true."""
        return Side(self.ids[np.repeat(kept, self.lengths)], self.lengths[kept])


class Pairs(NamedTuple):
    """Sentences with their translations."""

    source: Side
    target: Side
    weights: NDArray[np.float32]
    """Of each pair in the loss."""

    def only(self, kept: NDArray[np.bool_]) -> "Pairs":
        """The pairs for which `kept` is true."""
        return Pairs(self.source.only(kept), self.target.only(kept), self.weights[kept])
