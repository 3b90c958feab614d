"""Extensions: the best candidates of one more piece, in one pass over the logits."""

# Shapes: N sentences, K hypotheses, R rows, W columns of the logits.

import numpy as np
from numpy.typing import NDArray

from model.decoding.native.compiled import kernel
from model.decoding.native.product import Floats, Ints
from model.decoding.native.scalar_math import exponential
from model.decoding.native.vector import SCAN, greater, largest, pointer

Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

NOTHING = np.float32(-np.inf)
_ZERO = np.float32(0.0)


@kernel
def normaliser(logits: Floats, r: int, pieces: int, maxima: Floats) -> float:
    """log of the sum of exp(logits[r, :pieces]); `maxima` gets those of its whole blocks."""
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
def offer(
    value: float,
    k: int,
    j: int,
    found: int,
    free: int,
    log_prob: Floats,
    parent: Longs,
    column: Longs,
) -> int:
    """Put a candidate where it ranks among the `found` best of at most `free`; how many are there.

    Candidates come in the order of (parent, column), so an equal one ranks behind those there.
    """
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
    r: int,
    low: int,
    high: int,
    shift: float,
    k: int,
    maxima: Floats,
    found: int,
    free: int,
    log_prob: Floats,
    parent: Longs,
    column: Longs,
) -> int:
    """Offer the columns `low` to `high` of a row, whole blocks only where their maximum ranks.

    A candidate's log-probability is its logit + `shift`: one sum that keeps the order, so that the
    maximum of a block is never less than what is in it.
    """
    j = low
    while j < high:
        block = j // SCAN
        stop = min((block + 1) * SCAN, high)
        whole = stop - j == SCAN
        if whole and found == free and not maxima[block] + shift > log_prob[free - 1]:
            j = stop
            continue
        while j < stop:
            value = logits[r, j] + shift
            found = offer(value, k, j, found, free, log_prob, parent, column)
            j += 1
    return found


@kernel
def allowed(end: int, stop: int, length: int, limit: int, shortest: int) -> tuple[int, int]:
    """The columns of what may come next: EOS alone at the limit, all but EOS before `shortest`."""
    if length == limit:
        return end, end + 1
    if length < shortest:
        return end + 1, stop
    return end, stop


@kernel
def is_beaten(logits: Floats, r: int, end: int, stop: int) -> bool:
    """Whether a piece of row r is more probable than EOS, its column `end`."""
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
    columns: Ints,
    end: int,
    row: Ints,
    log_prob: Floats,
    length: Longs,
    limit: Longs,
    shortest: Longs,
    finished: Longs,
    skip: Flags,
    maxima: Floats,
    forced: Flags,
    new_log_prob: Floats,
    parent: Longs,
    column: Longs,
) -> None:
    """The K best candidates of the sentences `first` to `first + count`, the best first.

    Args:
        logits: (R, W), row `row[n, k] - offset` is that of hypothesis k; changed.
        columns: (N,) how many of the W columns are those of pieces.
        end: column of EOS; those before it are PAD, UNK and BOS.
        limit, shortest: (N,) the most and the fewest pieces.
        skip: (N,) sentences that are left out.
        maxima: (W / SCAN,) used on the way.
        forced: (N, K) is written at the limit, see `Beam`.
        new_log_prob, parent, column: (N, K) are written; log-probability -inf where there is none.
    """
    beam = row.shape[1]
    for n in range(first, first + count):
        if skip[n]:
            continue
        new_log_prob[n] = NOTHING
        parent[n], column[n], found = 0, end, 0
        low, high = allowed(end, columns[n], length[n], limit[n], shortest[n])
        for k in range(beam):
            if row[n, k] < 0:
                continue
            r = row[n, k] - offset
            norm = normaliser(logits, r, columns[n], maxima)
            if length[n] == limit[n]:
                forced[n, k] = is_beaten(logits, r, end, columns[n])
            found = offer_row(
                logits,
                r,
                low,
                high,
                log_prob[n, k] - norm,
                k,
                maxima,
                found,
                beam - finished[n],
                new_log_prob[n],
                parent[n],
                column[n],
            )
