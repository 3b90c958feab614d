"""Symbol scores: error rates of sequences of symbols against the nearest of what is accepted.

In the literature on pronunciation the symbol error rate is the phone error rate (PER) and the
sequence error rate the word error rate (WER). The bootstrap is that of
`training.validation.corpus_scores`.
"""

# Shapes: N lines.

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.metrics.edit_distance import edit_distance
from training.validation.corpus_scores import SEED, Score, interval_of, line_draws

Sequences = Sequence[Sequence[str]]
"""Lines, cut into symbols."""


def symbol_scores(
    outputs: Sequences,
    accepted: Sequence[Sequences],
    *,
    bootstrap: int,
    baseline: Sequences | None = None,
) -> dict[str, Score]:
    """Score `outputs`, one line at least, in percent; lower is better.

        symbol error rate = edits to the nearest accepted sequences / symbols of these
        sequence error rate = lines that are none of the accepted sequences / lines

    Of several that are equally near the shortest counts.

    Args:
        accepted: for each line all sequences that are right, one at least.
        bootstrap: draws of lines for the intervals; 0 for none, and then there can be no baseline.
        baseline: the outputs of another system, to compare with.
    """
    ours = _counts(outputs, accepted)
    theirs = None if baseline is None else _counts(baseline, accepted)
    most = {len(one) for one in accepted}
    signature = f"nrefs:{most.pop() if len(most) == 1 else 'var'}|"
    signature += f"bs:{bootstrap}|seed:{SEED}|" if bootstrap else ""
    signature += "edits:levenshtein|ref:closest"
    lines = line_draws(bootstrap, len(ours)) if bootstrap else None
    return {
        name: _score(ours[:, columns], None if theirs is None else theirs[:, columns], lines, code)
        for name, columns, code in (
            ("symbol_error_rate", [0, 1], signature),
            ("sequence_error_rate", [2, 3], signature),
        )
    }


def _counts(outputs: Sequences, accepted: Sequence[Sequences]) -> NDArray[np.int64]:
    """Edits, symbols of the nearest sequence, whether there are edits, and 1, (N, 4)."""
    rows = []
    for output, right in zip(outputs, accepted, strict=True):
        edits, length = min((edit_distance(output, one), len(one)) for one in right)
        rows.append((edits, length, int(edits > 0), 1))
    return np.array(rows)


def _score(
    ours: NDArray[np.int64],
    theirs: NDArray[np.int64] | None,
    lines: NDArray[np.int64] | None,
    signature: str,
) -> Score:
    """Divide the sums of two columns (N, 2), of all lines and of each draw of them."""
    value = float(_rates(ours[None])[0])
    if lines is None:
        return Score(value=value, interval=None, signature=signature)
    drawn, p_value = _rates(ours[lines]), None
    if theirs is not None:
        other = float(_rates(theirs[None])[0])
        differences = np.abs(drawn - _rates(theirs[lines]))
        beyond = differences - differences.mean() > abs(value - other)
        p_value = 1.0 if value == other else float(beyond.sum() + 1) / (len(lines) + 1)
    return Score(value=value, interval=interval_of(drawn), signature=signature, p_value=p_value)


def _rates(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Percentages of each draw, from its counts (draws, N, 2)."""
    wrong, total = counts.sum(1).T
    rates: NDArray[np.float64] = 100 * wrong / np.maximum(total, 1)
    return rates
