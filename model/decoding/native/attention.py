"""Attention of hypotheses to their sources, each over its own length: no padding, no tiling.

See `model.network.attention` for the formulas. Keys and values stay in fp32.
"""

# Shapes: R rows, N sentences, S source length with EOS, H encoder output size, A attention size.

import numpy as np

from model.decoding.native.compiled import kernel
from model.decoding.native.product import Bytes, Floats, Ints
from model.decoding.native.scalar_math import exponential, narrowed, sigmoid
from model.decoding.native.vector import greater

_ONE, _TWO, _ZERO = np.float32(1.0), np.float32(2.0), np.float32(0.0)


@kernel
def scores_by_product(
    query: Floats, rows: int, sentence: Ints, length: Ints, keys: Floats, scale: float, out: Floats
) -> None:
    """out[r, g * S + s] = scale * q k in head g: `query` (R, A), `keys` (N, S, A)."""
    size = keys.shape[2]
    heads = out.shape[1] // keys.shape[1]
    part = size // heads
    for r in range(rows):
        n = sentence[r]
        for g in range(heads):
            first = g * part
            for s in range(length[n]):
                total = _ZERO
                for j in range(part):
                    total += query[r, first + j] * keys[n, s, first + j]
                out[r, g * keys.shape[1] + s] = total * np.float32(scale)


@kernel
def scores_by_sum(
    query: Floats,
    rows: int,
    sentence: Ints,
    length: Ints,
    keys: Floats,
    energy: Floats,
    out: Floats,
) -> None:
    """out[r, s] = energy tanh(q + k): `query` (R, A), already projected; `keys` (N, S, A)."""
    for r in range(rows):
        n = sentence[r]
        for s in range(length[n]):
            total = _ZERO
            for j in range(energy.shape[0]):
                total += energy[j] * (_TWO * sigmoid(_TWO * (query[r, j] + keys[n, s, j])) - _ONE)
            out[r, s] = total


@kernel
def softmax(scores: Floats) -> np.float32:
    """exp(x - maximum) in place; the sum, which they are still to be divided by."""
    best = scores[0]
    for s in range(1, scores.shape[0]):
        best = greater(best, scores[s])
    total = _ZERO
    for s in range(scores.shape[0]):
        scores[s] = exponential(scores[s] - best)
        total += scores[s]
    return total


@kernel
def attend(
    scores: Floats,
    rows: int,
    sentence: Ints,
    length: Ints,
    values: Floats,
    heads: int,
    steps: float,
    sums: Floats,
    context: Bytes,
    column: int,
    weights: Floats,
    place: Ints,
) -> None:
    """Softmax of `scores` (R, heads * S), context and mean weights.

    Args:
        values: (N, S, H).
        steps: 127 / bound of the values.
        sums: (H,) what is used on the way.
        context: bytes, written from column `column` of row r on.
        weights: (P, S), row place[r] is written up to the length, the mean over the heads.
    """
    size = values.shape[2]
    part = size // heads
    for r in range(rows):
        n = sentence[r]
        count, mean = length[n], weights[place[r]]
        sums[:] = _ZERO
        mean[:count] = _ZERO
        for g in range(heads):
            own = scores[r, g * values.shape[1] : g * values.shape[1] + count]
            total = softmax(own)
            for s in range(count):
                own[s] /= total
                mean[s] += own[s] / np.float32(heads)
            into = sums[g * part : (g + 1) * part]
            for s in range(count):
                w, value = own[s], values[n, s, g * part : (g + 1) * part]
                for j in range(part):
                    into[j] += w * value[j]
        out = context[r, column : column + size]
        for j in range(size):
            out[j] = narrowed(sums[j], np.float32(steps))
