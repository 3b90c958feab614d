"""Coverage: kernels that add the sums of past attention weights to the scores, and update them.

See `model.network.attention` for the formula.
"""

# Shapes: R rows, M rows of state, S source length with EOS, P rows of attention weights, G heads.

import numpy as np

from model.decoding.native.attention import NativeMemory
from model.decoding.native.compiled import kernel
from model.decoding.native.product import Floats
from model.decoding.native.step_rows import StepRows


@kernel
def add_coverage(
    rows: int, step: StepRows, memory: NativeMemory, weight: float, before: Floats, scores: Floats
) -> None:
    """Add `weight` times the coverage of each source position to its scores, in every head.

    Args:
        before: (M, S) coverage; row r continues row origin[r].
        scores: (R, G * S).
    """
    source = memory.keys.shape[1]
    for r in range(rows):
        covered = before[step.origin[r]]
        for start in range(0, scores.shape[1], source):
            for s in range(memory.length[step.sentence[r]]):
                scores[r, start + s] += np.float32(weight) * covered[s]


@kernel
def follow_coverage(
    rows: int,
    step: StepRows,
    memory: NativeMemory,
    before: Floats,
    after: Floats,
    weights: Floats,
) -> None:
    """Write the coverage of each row after a step to `after` (M, S).

    Args:
        before: (M, S) coverage; row r continues row origin[r].
        weights: (P, S) attention, of which row place[r] is that of row r.
    """
    for r in range(rows):
        covered, given = before[step.origin[r]], weights[step.place[r]]
        for s in range(memory.length[step.sentence[r]]):
            after[r, s] = covered[s] + given[s]
