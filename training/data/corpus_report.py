"""CorpusReport: how many pairs were read, and which were left out, why, for instance which."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EXAMPLES = 3
"""Pairs shown for each reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusReport:
    """What was read and what was left out, for the person who starts the run."""

    lines: int
    dropped: dict[str, int]
    """Pairs left out for each reason; only reasons that there were."""
    examples: dict[str, list[str]]
    """Up to `EXAMPLES` of them for each reason."""
    source_pieces: float
    """Mean pieces of a kept line."""
    target_pieces: float
    several: int = 0
    """Kept lines whose source has several sentences; of a corpus for training, that is."""

    @property
    def kept(self) -> int:
        """Pairs that are left."""
        return self.lines - sum(self.dropped.values())

    def describe(self, name: str) -> str:
        """One line for the log."""
        return (
            f"{name}: {self.lines:,} lines, {self.reasons() or 'all kept'}; "
            f"{self.source_pieces:.1f} source and {self.target_pieces:.1f} target pieces a line"
        )

    def reasons(self) -> str:
        """What was left out, as a part of a sentence; nothing if nothing was."""
        if not self.dropped:
            return ""
        return "dropped " + ", ".join(f"{n:,} {reason}" for reason, n in self.dropped.items())

    def details(self, name: str) -> str:
        """Several lines: the one of `describe`, what is kept, and the examples of each reason."""
        lines = [self.describe(name), f"  kept {self.kept:,} of {self.lines:,}"]
        for reason, count in self.dropped.items():
            lines.append(f"  {reason}: {count:,}, for instance")
            lines += [f"    {example}" for example in self.examples[reason]]
        return "\n".join(lines)


def together(reports: Sequence[CorpusReport]) -> CorpusReport:
    """One report on all corpora."""
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
    """Counts for each reason added up, and the first examples of each."""
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    for dropped, shown in parts:
        counts.update(dropped)
        for reason, found in shown.items():
            examples[reason] = [*examples.get(reason, []), *found][:EXAMPLES]
    return dict(counts), examples
