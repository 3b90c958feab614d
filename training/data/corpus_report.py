"""CorpusReport: how many pairs were read and left out, with reasons and examples."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EXAMPLES = 3
"""Pairs shown for each reason."""

UNKNOWN_SYMBOLS = "with unknown symbols"
"""The reason why a pair is left out that the symbols of a model cannot spell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusReport:
    """Pairs that were read and left out, for the person who starts the run."""

    lines: int
    dropped: dict[str, int]
    """Number of pairs left out for each reason that occurred."""
    examples: dict[str, list[str]]
    """Up to `EXAMPLES` of them for each reason."""
    source_pieces: float
    """Mean number of pieces in a kept line."""
    target_pieces: float
    unit: str = "pieces"
    """What a line has so many of."""
    source_unit: str = ""
    """The same of sources, if it is another."""
    several: int = 0
    """Number of kept lines whose source has several sentences; for training corpora only."""

    @property
    def kept(self) -> int:
        """Number of pairs that are kept."""
        return self.lines - sum(self.dropped.values())

    def describe(self, name: str) -> str:
        """Describe the corpus in one line of the log."""
        return (
            f"{name}: {self.lines:,} lines, {self.reasons() or 'all kept'}; "
            f"{self.source_pieces:.1f} source {self.source_unit + ' ' * bool(self.source_unit)}and "
            f"{self.target_pieces:.1f} target {self.unit} a line"
        )

    def reasons(self) -> str:
        """Describe what was left out, as part of a sentence; empty if nothing was."""
        if not self.dropped:
            return ""
        return "dropped " + ", ".join(f"{n:,} {reason}" for reason, n in self.dropped.items())

    def details(self, name: str) -> str:
        """Describe the corpus in several lines, with examples of each reason."""
        lines = [self.describe(name), f"  kept {self.kept:,} of {self.lines:,}"]
        for reason, count in self.dropped.items():
            lines.append(f"  {reason}: {count:,}, for instance")
            lines += [f"    {example}" for example in self.examples[reason]]
        return "\n".join(lines)


def together(reports: Sequence[CorpusReport]) -> CorpusReport:
    """Sum up the reports on several corpora."""
    kept = max(1, sum(report.kept for report in reports))
    dropped, examples = tallied((report.dropped, report.examples) for report in reports)
    return CorpusReport(
        lines=sum(report.lines for report in reports),
        dropped=dropped,
        examples=examples,
        source_pieces=sum(report.source_pieces * report.kept for report in reports) / kept,
        target_pieces=sum(report.target_pieces * report.kept for report in reports) / kept,
        several=sum(report.several for report in reports),
    )


def tallied(
    parts: Iterable[tuple[dict[str, int], dict[str, list[str]]]],
) -> tuple[dict[str, int], dict[str, list[str]]]:
    """Add up the counts for each reason, and keep its first examples."""
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    for dropped, shown in parts:
        counts.update(dropped)
        for reason, found in shown.items():
            examples[reason] = [*examples.get(reason, []), *found][:EXAMPLES]
    return dict(counts), examples
