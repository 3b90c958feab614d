"""Changes between two systems, sentence by sentence: which gain and which lose most.

References are lists of lines, as in `training.validation.corpus_scores`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sacrebleu
from numpy.typing import NDArray

from model.decoding.confidence import QualityMetric
from model.text.printable import printable
from training.metrics.names import LABELS
from training.validation.corpus_scores import line_scores

SENTENCE_METRIC_OF_TASK: dict[str, QualityMetric] = {"translate": "chrf", "summarize": "rouge_l"}
"""What a single line of each task is compared by: BLEU means little for one sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A line that two systems render differently."""

    line: int
    """From 1."""
    score: float
    """Of the system, 0 to 100."""
    baseline_score: float
    """Of the other system."""
    references: list[str]
    output: str
    baseline_output: str
    source: str | None = None
    """None if the sources are not known."""

    @property
    def difference(self) -> float:
        """What the system gains over the other."""
        return self.score - self.baseline_score

    def describe(self, label: str) -> str:
        """Describe it in a line for the scores by the metric `label`, and one for each text."""
        numbers = f"{self.baseline_score:.1f} -> {self.score:.1f} ({self.difference:+.1f})"
        texts = [] if self.source is None else [("source", self.source)]
        texts += [("reference", reference) for reference in self.references]
        texts += [("baseline", self.baseline_output), ("output", self.output)]
        lines = [f"line {self.line:,}: {label} {numbers}"]
        lines += [f"  {name:<9}  {printable(text)}".rstrip() for name, text in texts]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """How many lines of a test set score higher and lower than the baseline, and the extremes."""

    metric: QualityMetric
    better: int
    worse: int
    equal: int
    """Lines of the same score."""
    identical: int
    """Lines with the same text, which are among the equal ones."""
    gains: list[Change]
    """The greatest first."""
    losses: list[Change]
    """The greatest first."""

    def describe(self) -> str:
        """Describe the counts in a line, and below it each change with its texts."""
        label = LABELS[self.metric]
        text = (
            f"lines by {label}: {self.better:,} better, {self.worse:,} worse, {self.equal:,} equal "
            f"({self.identical:,} of them the same text)\n"
        )
        for title, changes in (("gain", self.gains), ("lose", self.losses)):
            if changes:
                text += f"\nlines that {title} most\n"
                text += "".join(change.describe(label) for change in changes)
        return text


def compare_sentences(
    outputs: Sequence[str],
    baseline: Sequence[str],
    references: Sequence[Sequence[str]],
    sources: Sequence[str] | None,
    *,
    metric: QualityMetric,
    show: int,
) -> Changes:
    """Score each line of both systems, and collect the `show` greatest gains and losses.

    Of equal differences the earlier line comes first.
    """
    ours = sentence_scores(metric, outputs, references)
    theirs = sentence_scores(metric, baseline, references)
    differences = ours - theirs

    def change(row: int) -> Change:
        return Change(
            line=row + 1,
            score=float(ours[row]),
            baseline_score=float(theirs[row]),
            references=[reference[row] for reference in references],
            output=outputs[row],
            baseline_output=baseline[row],
            source=None if sources is None else sources[row],
        )

    def greatest(sign: int) -> list[Change]:
        order = np.argsort(-sign * differences, kind="stable")[:show]
        return [change(row) for row in order.tolist() if sign * differences[row] > 0]

    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    return Changes(
        metric=metric,
        better=better,
        worse=worse,
        equal=len(outputs) - better - worse,
        identical=sum(a == b for a, b in zip(outputs, baseline, strict=True)),
        gains=greatest(1),
        losses=greatest(-1),
    )


def sentence_scores(
    metric: QualityMetric, outputs: Sequence[str], references: Sequence[Sequence[str]]
) -> NDArray[np.float64]:
    """Score each line (N,), 0 to 100, against its best reference."""
    if metric == "rouge_l":
        return line_scores(metric, outputs, references)
    chrf = sacrebleu.CHRF()
    rows = zip(outputs, zip(*references, strict=True), strict=True)
    return np.array([chrf.sentence_score(output, list(right)).score for output, right in rows])
