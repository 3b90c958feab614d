"""Truncation: outputs that hit their length limit, and texts of which only a part was used.

Commands report at their end how many records were truncated.
"""

import json
from dataclasses import asdict, dataclass, field

from model.translation.assemble import Translation

SHOWN = 10
"""Records whose numbers are reported."""


@dataclass(slots=True)
class Truncations:
    """Counts of truncated outputs and sources, and of texts with windows that were not used, and
    the numbers of the first records of each."""

    counts: dict[str, int] = field(default_factory=lambda: {"output": 0, "source": 0, "windows": 0})
    first: dict[str, list[int]] = field(
        default_factory=lambda: {"output": [], "source": [], "windows": []}
    )

    def look_at(self, number: int, translation: Translation) -> None:
        """Count record `number` if its translation, or its source, was truncated."""
        if translation.hypotheses[0].truncated:
            self._count("output", 1, [number])
        if translation.truncated_source is not None:
            self._count("source", 1, [number])
        if not all(window.used for window in translation.windows):
            self._count("windows", 1, [number])

    def add(self, later: "Truncations") -> None:
        """Add the counts of later records."""
        for kind, count in later.counts.items():
            self._count(kind, count, later.first[kind])

    def to_json(self) -> bytes:
        """A line for `from_json`; b"" if nothing was truncated."""
        return json.dumps(asdict(self)).encode() + b"\n" if any(self.counts.values()) else b""

    @classmethod
    def from_json(cls, line: bytes) -> "Truncations":
        """Parse what `to_json` wrote."""
        return cls(**json.loads(line))

    def describe(self, unit: str) -> list[str]:
        """Sentences to show to people; none if nothing was truncated.

        Args:
            unit: "line" or "row".
        """
        said = []
        for kind, what in (
            ("output", "hit the length limit where the model would have gone on"),
            ("source", "longer than the model reads: only the beginning was read"),
            ("windows", "longer than the model reads: only the best windows were used"),
        ):
            count, first = self.counts[kind], self.first[kind]
            if count:
                numbers = ", ".join(map(str, first)) + (", ..." if count > len(first) else "")
                thing = "output" if kind == "output" else "text"
                plural = "s" if count > 1 else ""
                said.append(f"{count:,} {thing}{plural} {what} ({unit}{plural} {numbers})")
        return said

    def _count(self, kind: str, count: int, numbers: list[int]) -> None:
        self.counts[kind] += count
        self.first[kind] = [*self.first[kind], *numbers][:SHOWN]
