"""Extensions: the best candidates with one more piece, found in one pass over the logits."""

# Shapes: K hypotheses, R rows, W columns of the logits.

import numpy as np

from model.decoding.native.compiled import kernel
from model.decoding.native.product import Floats, Ints
from model.decoding.native.scalar_math import exponential
from model.decoding.native.search_arrays import BeamArrays, CandidateArrays, LimitArrays, ScanArrays
from model.decoding.native.vector import SCAN, greater, largest, pointer

NOTHING = np.float32(-np.inf)
_ZERO = np.float32(0.0)


@kernel
def normaliser(logits: Floats, r: int, pieces: int, maxima: Floats) -> float:
    """Return the log of the sum of exp(logits[r, :pieces]).

    Args:
        logits: (R, W).
        maxima: see `ScanArrays`; gets the maximum of each whole block of the row.
    """
    best = NOTHING
    blocks = pieces // SCAN
    for b in range(blocks):
        maxima[b] = largest(pointer(logits, r * logits.shape[1] + b * SCAN))
        best = greater(maxima[b], best)
    for j in range(blocks * SCAN, pieces):
        best = greater(logits[r, j], best)
    total, own = _ZERO, logits[r, :pieces]
    for j in range(pieces):
        total += exponential(own[j] - best)
    norm: float = best + np.log(total)
    return norm


@kernel
def offer(value: float, k: int, j: int, found: int, best: CandidateArrays) -> int:
    """Insert a candidate, column j of hypothesis k, where it ranks among the `found` in `best`.

    Candidates come in the order of (parent, column), and an equal one ranks behind those there.

    Args:
        best: of one sentence, with as many places (K or fewer,) as its beam has free.

    Returns:
        How many candidates there are now.
    """
    log_prob, parent, column = best
    free = len(log_prob)
    if not value > NOTHING or (found == free and not value > log_prob[free - 1]):
        return found
    at = min(found, free - 1)
    while at > 0 and value > log_prob[at - 1]:
        log_prob[at] = log_prob[at - 1]
        parent[at] = parent[at - 1]
        column[at] = column[at - 1]
        at -= 1
    log_prob[at] = value
    parent[at] = k
    column[at] = j
    return min(found + 1, free)


@kernel
def offer_row(
    logits: Floats,
    columns: tuple[int, int],
    shift: float,
    k: int,
    maxima: Floats,
    found: int,
    best: CandidateArrays,
) -> int:
    """Offer a range of columns of the row of hypothesis k, but skip blocks that cannot rank.

    The log-probability of a candidate is its logit + `shift`. Adding one number keeps the order, so
    the maximum of a block + `shift` is never below any candidate of the block.

    Args:
        logits: (W,) the row.
        columns: the first one, and the end of the range.
        maxima: of the row, see `normaliser`.
        found, best: see `offer`.

    Returns:
        How many candidates there are now.
    """
    log_prob = best.log_prob
    free = len(log_prob)
    j, high = columns
    while j < high:
        block = j // SCAN
        stop = min((block + 1) * SCAN, high)
        whole = stop - j == SCAN
        if whole and found == free and not maxima[block] + shift > log_prob[free - 1]:
            j = stop
            continue
        while j < stop:
            found = offer(logits[j] + shift, k, j, found, best)
            j += 1
    return found


@kernel
def allowed(end: int, stop: int, length: int, limit: int, shortest: int) -> tuple[int, int]:
    """Return the range of columns allowed next: only EOS at the limit, no EOS before `shortest`."""
    if length == limit:
        return end, end + 1
    if length < shortest:
        return end + 1, stop
    return end, stop


@kernel
def is_beaten(logits: Floats, r: int, end: int, stop: int) -> bool:
    """Tell whether a piece of row r of `logits` (R, W) is more probable than EOS, column `end`."""
    best = NOTHING
    for j in range(end, stop):
        best = greater(logits[r, j], best)
    beaten: bool = logits[r, end] < best
    return beaten


@kernel
def best_extensions(
    first: int,
    count: int,
    logits: Floats,
    offset: int,
    end: int,
    row: Ints,
    scan: ScanArrays,
    beam: BeamArrays,
    limits: LimitArrays,
    chosen: CandidateArrays,
) -> None:
    """Choose the K best candidates of each of the sentences `first` to `first + count`.

    Args:
        logits: (R, W), whose row `row[n, k] - offset` is that of hypothesis k.
        end: the column of EOS; PAD, UNK and BOS, if they have columns, come before it.
        row: see `RowArrays`.
        limits: `forced` is written for sentences that are at their limit.
        chosen: is written.
    """
    maxima, log_prob = scan.maxima, beam.log_prob
    for n in range(first, first + count):
        if scan.skip[n]:
            continue
        pieces, length, limit = scan.columns[n], beam.length[n], limits.limit[n]
        chosen.log_prob[n] = NOTHING
        chosen.parent[n], chosen.piece[n], found = 0, end, 0
        columns = allowed(end, pieces, length, limit, limits.shortest[n])
        free = row.shape[1] - beam.finished[n]
        best = CandidateArrays(
            chosen.log_prob[n, :free], chosen.parent[n, :free], chosen.piece[n, :free]
        )
        for k in range(row.shape[1]):
            if row[n, k] < 0:
                continue
            r = row[n, k] - offset
            norm = normaliser(logits, r, pieces, maxima)
            if length == limit:
                limits.forced[n, k] = is_beaten(logits, r, end, pieces)
            shift = log_prob[n, k] - norm
            found = offer_row(logits[r], columns, shift, k, maxima, found, best)
