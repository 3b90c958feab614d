"""Beams: one step of the search for many sentences; its rules: `model.decoding.beam_search`.

Only hypotheses that are alive have rows, so a sentence costs less as its hypotheses finish.
"""

# Shapes: N sentences, K hypotheses, T target length with EOS.

from model.decoding.native.compiled import kernel
from model.decoding.native.extensions import NOTHING
from model.decoding.native.product import Floats
from model.decoding.native.search_arrays import (
    BeamArrays,
    BestArrays,
    CandidateArrays,
    Flags,
    HistoryArrays,
    RowArrays,
    RuleScores,
)
from model.decoding.native.step_rows import StepRows
from model.decoding.native.vector import greater
from model.text.tokenizer import EOS_ID


@kernel
def list_rows(count: int, steps: int, beam: BeamArrays, held: RowArrays, step: StepRows) -> int:
    """Give a row to each hypothesis of the first `count` sentences that is alive.

    Args:
        steps: T.
        held: `row` is written.
        step: is written.

    Returns:
        The number of rows.
    """
    token, log_prob, length = beam.token, beam.log_prob, beam.length
    row, source = held.row, held.source
    size = token.shape[1]
    rows = 0
    for n in range(count):
        for k in range(size):
            row[n, k] = -1
            if log_prob[n, k] > NOTHING:
                row[n, k] = rows
                step.piece[rows] = token[n, k]
                step.origin[rows] = source[n, k]
                step.sentence[rows] = n
                step.place[rows] = (n * steps + length[n]) * size + k
                rows += 1
    return rows


@kernel
def insert(best: Floats, score: float) -> None:
    """Insert `score` among `best` (K,), the highest first, if it is one of the K best."""
    at = len(best) - 1
    if score > best[at]:
        while at > 0 and score > best[at - 1]:
            best[at] = best[at - 1]
            at -= 1
        best[at] = score


@kernel
def keep(
    count: int,
    chosen: CandidateArrays,
    rules: RuleScores,
    held: RowArrays,
    beam: BeamArrays,
    best: BestArrays,
    history: HistoryArrays,
    over: Flags,
) -> None:
    """Make `chosen` the hypotheses of the first `count` sentences, and record them in `history`.

    Args:
        held: `row` holds the rows before the step; `source` is written.
        beam, best: are updated.
        over: (N,) is written: whether nothing better can be found for a sentence, see `is_over`.
    """
    log_prob, length = beam.log_prob, beam.length
    for n in range(count):
        t = length[n]
        highest = NOTHING
        for k in range(log_prob.shape[1]):
            piece, parent = chosen.piece[n, k], chosen.parent[n, k]
            value, score = chosen.log_prob[n, k], NOTHING
            ended = piece == EOS_ID and value > NOTHING
            if ended:
                score = value / best.penalty[n, t] + rules.extra[n, k]
                beam.finished[n] += 1
                insert(best.best[n], score)
            history.piece[n, t, k] = piece
            history.parent[n, t, k] = parent
            history.log_prob[n, t, k] = value
            history.score[n, t, k] = score
            beam.token[n, k] = piece
            log_prob[n, k] = NOTHING if ended else value
            highest = greater(log_prob[n, k], highest)
            held.source[n, k] = held.row[n, parent]
        length[n] = t + 1
        last = best.best[n, best.n_best[n] - 1]
        over[n] = not highest > NOTHING or highest / best.longest[n] + rules.most[n] < last
