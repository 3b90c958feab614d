"""Attention of hypotheses to their sources, each over its own length, without padding or copies.

See `model.network.attention` for the formulas. Keys and values stay in fp32.
"""

# Shapes: R rows, N sentences, S source length with EOS, H encoder output size, A attention size,
# D decoder size, P rows of attention weights.

from typing import NamedTuple

import numpy as np

from model.decoding.native.compiled import kernel
from model.decoding.native.product import Bytes, Floats, Ints
from model.decoding.native.scalar_math import exponential, narrowed, sigmoid
from model.decoding.native.step_rows import StepRows
from model.decoding.native.vector import greater

_ONE, _TWO, _ZERO = np.float32(1.0), np.float32(2.0), np.float32(0.0)


class NativeMemory(NamedTuple):
    """What hypotheses attend to; each sentence has a slot."""

    values: Floats
    """(N, S, H)"""
    keys: Floats
    """(N, S, A)"""
    length: Ints
    """(N,) with EOS."""


class AttentionBuffers(NamedTuple):
    """What attention writes in a step."""

    scores: Floats
    """(R, heads * S) the scores, then the weights, of one head after the other."""
    sums: Floats
    """(H,) the context of one row, in fp32."""
    combined: Bytes
    """(R, D + H) its last H columns are for the contexts."""


@kernel
def scores_by_product(
    rows: int, query: Floats, sentence: Ints, memory: NativeMemory, scale: float, scores: Floats
) -> None:
    """Compute scores[r, g * S + s] = scale * q k in head g.

    Args:
        query: (R, A).
        sentence: see `StepRows`.
        scores: see `AttentionBuffers`.
    """
    keys, length = memory.keys, memory.length
    size = keys.shape[2]
    heads = scores.shape[1] // keys.shape[1]
    part = size // heads
    for r in range(rows):
        n = sentence[r]
        for g in range(heads):
            first = g * part
            for s in range(length[n]):
                total = _ZERO
                for j in range(part):
                    total += query[r, first + j] * keys[n, s, first + j]
                scores[r, g * keys.shape[1] + s] = total * np.float32(scale)


@kernel
def scores_by_sum(
    rows: int, query: Floats, sentence: Ints, memory: NativeMemory, energy: Floats, scores: Floats
) -> None:
    """Compute scores[r, s] = energy tanh(q + k).

    Args:
        query: (R, A) after its projection.
        sentence: see `StepRows`.
        energy: (A,).
        scores: see `AttentionBuffers`.
    """
    keys, length = memory.keys, memory.length
    for r in range(rows):
        n = sentence[r]
        for s in range(length[n]):
            total = _ZERO
            for j in range(energy.shape[0]):
                total += energy[j] * (_TWO * sigmoid(_TWO * (query[r, j] + keys[n, s, j])) - _ONE)
            scores[r, s] = total


@kernel
def softmax(scores: Floats) -> np.float32:
    """Replace each score x (S,) by exp(x - maximum); return the sum, to divide them by."""
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
    rows: int,
    step: StepRows,
    memory: NativeMemory,
    steps: float,
    buffers: AttentionBuffers,
    weights: Floats,
) -> None:
    """Compute the attention weights of every row from its scores, and its context.

    Args:
        steps: 127 / bound of the values, the scale of the contexts as bytes.
        weights: (P, S), row place[r] gets the weights of row r up to the length of its source: the
            mean over the heads.
    """
    sentence, place, values, length = step.sentence, step.place, memory.values, memory.length
    scores, sums, combined = buffers.scores, buffers.sums, buffers.combined
    size = values.shape[2]
    heads = scores.shape[1] // values.shape[1]
    part = size // heads
    column = combined.shape[1] - size
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
        out = combined[r, column : column + size]
        for j in range(size):
            out[j] = narrowed(sums[j], np.float32(steps))
