"""Search arrays: the state of a search, in the structures that its kernels read and write."""

# Shapes: N sentences, K hypotheses, T target length with EOS, W columns of the logits.

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.decoding.beam_search import Candidates
from model.decoding.native.product import Floats, Ints
from model.decoding.state.beam import Beam
from model.decoding.state.history import History

Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]


# The fields of a `Beam`, which has their shapes, are in three structures: each array in a structure
# that is passed to a kernel costs 0.03 microseconds, whether the kernel uses it or not.


class BeamArrays(NamedTuple):
    """The hypotheses of a `Beam`, which all kernels of a search use."""

    token: Longs
    log_prob: Floats
    length: Longs
    finished: Longs


class LimitArrays(NamedTuple):
    """The fields of a `Beam` about the lengths of translations."""

    limit: Longs
    shortest: Longs
    forced: Flags


class BestArrays(NamedTuple):
    """The fields of a `Beam` about the hypotheses that finished, and the scores still possible."""

    best: Floats
    n_best: Longs
    penalty: Floats
    longest: Floats


class CandidateArrays(NamedTuple):
    """The candidates that become the new hypotheses, the best first."""

    log_prob: Floats
    """(N, K), -inf where there is none."""
    parent: Longs
    """(N, K) the hypothesis that each extends."""
    piece: Longs
    """(N, K) the piece that each appends; `best_extensions` writes its column of the logits."""


class HistoryArrays(NamedTuple):
    """The records of a `History` that kernels write."""

    piece: Longs
    """(N, T, K)"""
    parent: Longs
    """(N, T, K)"""
    log_prob: Floats
    """(N, T, K)"""
    score: Floats
    """(N, T, K) of the hypotheses that finished, else -inf."""


class RowArrays(NamedTuple):
    """The rows of hypotheses in the state of the network."""

    row: Ints
    """(N, K) the row of each hypothesis in this step, -1 where none is alive."""
    source: Ints
    """(N, K) the row of the old state that each hypothesis continues."""


class ScanArrays(NamedTuple):
    """What a pass over the logits depends on, apart from the beams."""

    columns: Ints
    """(N,) how many of the W columns are pieces; the rest fill up the last block."""
    skip: Flags
    """(N,) the sentences that are left out."""
    maxima: Floats
    """(W / SCAN or more,) a buffer for the maxima of the blocks of a row."""


class RuleScores(NamedTuple):
    """What rules add to the scores of hypotheses that finish."""

    extra: Floats
    """(N, K) added in this step."""
    most: Floats
    """(N,) the most that can be added in a later step."""


Shared = TypeVar("Shared", BeamArrays, LimitArrays, BestArrays, CandidateArrays, HistoryArrays)


def shared(kind: type[Shared], tensors: Beam | Candidates | History) -> Shared:
    """Return the fields of `tensors` that `kind` has, as arrays in the same memory on the CPU."""
    return kind(*(getattr(tensors, name).numpy() for name in kind._fields))
