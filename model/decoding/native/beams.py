"""Beams: one step of the search of many sentences, see `model.decoding.beam_search` for its rules.

Only alive hypotheses have rows, so a sentence costs no more than what is left of its beam.
"""

# Shapes: N sentences, K hypotheses, R rows, T target length with EOS.

from typing import NamedTuple

from model.decoding.native.compiled import kernel
from model.decoding.native.extensions import NOTHING, Flags, Longs
from model.decoding.native.product import Floats, Ints
from model.decoding.native.vector import greater
from model.decoding.state.beam import Beam
from model.text.tokenizer import EOS_ID


class BeamArrays(NamedTuple):
    """The fields of `Beam` that the kernels use, as arrays in the same memory."""

    token: Longs
    log_prob: Floats
    length: Longs
    finished: Longs
    best: Floats
    n_best: Longs
    penalty: Floats
    longest: Floats
    limit: Longs
    shortest: Longs

    @classmethod
    def of(cls, beam: Beam) -> "BeamArrays":
        """Those of `beam`, which is on the CPU."""
        return cls(*(getattr(beam, name).numpy() for name in cls._fields))


@kernel
def list_rows(
    count: int,
    token: Longs,
    log_prob: Floats,
    length: Longs,
    source: Ints,
    steps: int,
    row: Ints,
    piece: Ints,
    origin: Ints,
    sentence: Ints,
    place: Ints,
) -> int:
    """Give each alive hypothesis of the first `count` sentences a row; the number of rows.

    Args:
        token, log_prob: (N, K).
        length: (N,) pieces so far.
        source: (N, K) row of the old state that each hypothesis continues.
        steps: T.
        row: (N, K) is written: the row of each, -1 where nothing is alive.
        piece, origin, sentence, place: (R,) are written, see `network.Step`.
    """
    beam = token.shape[1]
    rows = 0
    for n in range(count):
        for k in range(beam):
            row[n, k] = -1
            if log_prob[n, k] > NOTHING:
                row[n, k] = rows
                piece[rows] = token[n, k]
                origin[rows] = source[n, k]
                sentence[rows] = n
                place[rows] = (n * steps + length[n]) * beam + k
                rows += 1
    return rows


@kernel
def insert(best: Floats, score: float) -> None:
    """Put `score` in its place among `best` (K,), the highest first, if it is one of the K best."""
    at = len(best) - 1
    if score > best[at]:
        while at > 0 and score > best[at - 1]:
            best[at] = best[at - 1]
            at -= 1
        best[at] = score


@kernel
def keep(
    count: int,
    new_log_prob: Floats,
    parent: Longs,
    piece: Longs,
    extra: Floats,
    more: Floats,
    row: Ints,
    token: Longs,
    log_prob: Floats,
    length: Longs,
    finished: Longs,
    best: Floats,
    n_best: Longs,
    penalty: Floats,
    longest: Floats,
    source: Ints,
    told_piece: Longs,
    told_parent: Longs,
    told_log_prob: Floats,
    told_score: Floats,
    over: Flags,
) -> None:
    """Make the chosen candidates (N, K) the beams of the first `count` sentences, and record them.

    Args:
        extra: (N, K) added to the scores of those that finish.
        more: (N,) the most that `extra` can be later.
        row: (N, K) rows of the hypotheses before the step.
        token, log_prob, length, finished, best, n_best, penalty, longest: see `Beam`.
        source: (N, K) is written: the row that each new hypothesis continues.
        told_piece, ...: (N, T, K) the history.
        over: (N,) is written: nothing better can be found, see `is_over`.
    """
    beam = token.shape[1]
    for n in range(count):
        t = length[n]
        highest = NOTHING
        for k in range(beam):
            value, score = new_log_prob[n, k], NOTHING
            ended = piece[n, k] == EOS_ID and value > NOTHING
            if ended:
                score = value / penalty[n, t] + extra[n, k]
                finished[n] += 1
                insert(best[n], score)
            told_piece[n, t, k] = piece[n, k]
            told_parent[n, t, k] = parent[n, k]
            told_log_prob[n, t, k] = value
            told_score[n, t, k] = score
            token[n, k] = piece[n, k]
            log_prob[n, k] = NOTHING if ended else value
            highest = greater(log_prob[n, k], highest)
            source[n, k] = row[n, parent[n, k]]
        length[n] = t + 1
        last = best[n, n_best[n] - 1]
        over[n] = not highest > NOTHING or highest / longest[n] + more[n] < last
