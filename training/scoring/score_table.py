"""Score table: scores with their intervals, and the signatures to report beside them."""

from model.cli.report import table
from training.metrics.names import LABELS
from training.validation.corpus_scores import Score

SIGNED = ("bleu", "chrf", "rouge_1", "symbol_error_rate", "mae", "last_step_percent", "mase")
"""Metrics whose signature is shown; the others have one of these."""


def score_table(scores: dict[str, Score], baseline: dict[str, Score] | None) -> str:
    """Make a table with the signatures below it."""
    header = ["", "score", "95 % interval"]
    if baseline is not None:
        header += ["baseline", "difference", "p"]
    rows, signatures = [], []
    for name, score in scores.items():
        digits = 3 if name in ("length_ratio", "mase", "seasonal_naive_mase") else 2
        row = [LABELS[name], f"{score.value:.{digits}f}", _interval(score, digits)]
        if baseline is not None:
            other = baseline[name]
            row += [
                f"{other.value:.{digits}f}",
                f"{score.value - other.value:+.{digits}f}",
                "" if score.p_value is None else f"{score.p_value:.4f}",
            ]
        rows.append(row)
        if name in SIGNED:
            label = "ROUGE" if name == "rouge_1" else LABELS[name]
            signatures.append(f"{label}: {score.signature}\n")
    return table(header, rows) + "\n" + "".join(signatures)


def _interval(score: Score, digits: int) -> str:
    if score.interval is None:
        return "none"
    return f"{score.interval.mean:.{digits}f} ± {score.interval.half_width:.{digits}f}"
