"""Copying in the native search: a kernel that adds what is copied to the logits.

See `model.network.copying` for the formulas.
"""

# Shapes: N slots, K hypotheses, R rows, S source length with EOS, W columns of the logits,
# P rows of attention weights.

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.decoding.native.compiled import bound, kernel
from model.decoding.native.extensions import normaliser
from model.decoding.native.product import Floats, Ints
from model.decoding.native.scalar_math import exponential
from model.decoding.native.search_arrays import ScanArrays

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_OVERWHELMING = np.float32(80.0)
"""exp of more than 88 overflows in fp32; above this, 1 + exp(x) is exp(x)."""


class CopySources(NamedTuple):
    """Where the pieces of each source stand among the columns of the logits."""

    length: Ints
    """(N,) with EOS."""
    column: Ints
    """(N, S) the column of each source piece."""
    leader: Ints
    """(N, S) the first position with the same piece, -1 for a piece that has no column."""
    attended: Floats
    """(S,) a buffer for the attention to each distinct piece of one source."""


@kernel
def add_copies(
    first: int,
    count: int,
    logits: Floats,
    offset: int,
    row: Ints,
    scan: ScanArrays,
    sources: CopySources,
    place: Ints,
    weights: Floats,
) -> None:
    """Change the logits of the sentences `first` to `first + count` to those of the mixture.

    Args:
        logits: (R, W), whose row `row[n, k] - offset` is that of hypothesis k; the column after its
            pieces holds the logit of the gate.
        row: see `RowArrays`.
        place: see `StepRows`.
        weights: (P, S) attention.
    """
    attended = sources.attended
    for n in range(first, first + count):
        length, pieces = sources.length[n], scan.columns[n]
        column, leader = sources.column[n], sources.leader[n]
        for k in range(row.shape[1]):
            if row[n, k] < 0:
                continue
            own, given = logits[row[n, k] - offset], weights[place[row[n, k]]]
            attended[:length] = _ZERO
            for s in range(length):
                if leader[s] >= 0:
                    attended[leader[s]] += given[s]
            base = np.float32(
                own[pieces] + normaliser(logits, row[n, k] - offset, pieces, scan.maxima)
            )
            for s in range(length):
                if leader[s] == s and attended[s] > _ZERO:
                    j = column[s]
                    more = base - own[j]
                    if more > _OVERWHELMING:
                        own[j] = base + np.log(attended[s])
                    else:
                        own[j] += np.log(_ONE + exponential(more) * attended[s])


class NativeCopying:
    """Holds the columns of each slot's source, for a network that copies."""

    def __init__(self, slots: int, source: int) -> None:
        """For `slots` sentences of up to `source` pieces with EOS."""
        self._sources = CopySources(
            length=np.zeros(slots, np.int32),
            column=np.zeros((slots, source), np.int32),
            leader=np.zeros((slots, source), np.int32),
            attended=np.zeros(source, np.float32),
        )

    def bind(
        self, logits: Floats, row: Ints, scan: ScanArrays, place: Ints, weights: Floats
    ) -> None:
        """Bind the kernel to the types of its structures, and to the attention of the search."""
        self._scan, self._place, self._weights = scan, place, weights
        self._add_copies = bound(
            add_copies, 0, 0, logits, 0, row, scan, self._sources, place, weights
        )

    def admit(self, slot: int, columns: NDArray[np.int64]) -> None:
        """Set the columns (S,) of the pieces of a source, -1 where a piece has none."""
        length = len(columns)
        self._sources.length[slot] = length
        self._sources.column[slot, :length] = columns
        _, first, own = np.unique(columns, return_index=True, return_inverse=True)
        self._sources.leader[slot, :length] = np.where(columns < 0, -1, first[own])

    def move(self, source: int, target: int) -> None:
        """Move the columns of slot `source` to slot `target`."""
        for held in self._sources[:3]:
            held[target] = held[source]

    def add(self, first: int, count: int, logits: Floats, offset: int, row: Ints) -> None:
        """Change the logits of sentences to those of the mixture, see `add_copies`."""
        self._add_copies(
            first,
            count,
            logits,
            offset,
            row,
            self._scan,
            self._sources,
            self._place,
            self._weights,
        )
