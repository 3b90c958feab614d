"""Search arrays: the state of a search, in the structures that its kernels read and write."""

# Shapes: N sentences, K hypotheses, T target length with EOS, W columns of the logits.

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.decoding.beam_search import Candidates
from model.decoding.native.product import Floats, Ints
from model.decoding.state.beam import Beam
from model.decoding.state.history import History

Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]


class BeamArrays(NamedTuple):
    """The fields of a `Beam`, which has their shapes, as arrays in the same memory."""

    token: Longs
    log_prob: Floats
    length: Longs
    finished: Longs
    best: Floats
    forced: Flags
    n_best: Longs
    penalty: Floats
    longest: Floats
    limit: Longs
    shortest: Longs

    @classmethod
    def of(cls, beam: Beam) -> "BeamArrays":
        """Return the arrays of `beam`, which is on the CPU."""
        return cls(*(getattr(beam, name).numpy() for name in cls._fields))


class CandidateArrays(NamedTuple):
    """The candidates that become the new hypotheses, the best first."""

    log_prob: Floats
    """(N, K), -inf where there is none."""
    parent: Longs
    """(N, K) the hypothesis that each extends."""
    piece: Longs
    """(N, K) the piece that each appends; `best_extensions` writes its column of the logits."""

    @classmethod
    def of(cls, candidates: Candidates) -> "CandidateArrays":
        """Return the arrays of `candidates`, which are on the CPU, in the same memory."""
        return cls(*(held.numpy() for held in candidates))


class HistoryArrays(NamedTuple):
    """The records of a `History` that kernels write, as arrays in the same memory."""

    piece: Longs
    """(N, T, K)"""
    parent: Longs
    """(N, T, K)"""
    log_prob: Floats
    """(N, T, K)"""
    score: Floats
    """(N, T, K) of the hypotheses that finished, else -inf."""

    @classmethod
    def of(cls, history: History) -> "HistoryArrays":
        """Return the arrays of `history`, which is on the CPU."""
        return cls(*(getattr(history, name).numpy() for name in cls._fields))


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
