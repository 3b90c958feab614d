"""Figures of a load: throughput, latencies, refusals, wrong answers; one row of a table."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.dialects import Dialect
from benchmarks.load import Outcome

HEAD = (
    f"{'':28} {'requests/s':>10} {'sentences/s':>11} {'p50 ms':>9} {'p95 ms':>9} {'p99 ms':>9} "
    f"{'right':>7} {'wrong':>6} {'refused':>8} {'errors':>6} {'lost':>5} {'late ms':>8}"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What a server did under a load."""

    requests_per_s: float
    """Right answers given within the window."""
    sentences_per_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    """Of right answers to requests that arrived within the window, from arrival to answer."""
    right: int
    wrong: int
    refused: int
    errors: int
    lost: int
    """These five count all requests, those outside of the window too."""
    late_s: float
    """How late the generator itself was in 99 of 100 cases; much, and the figures are its own."""

    def row(self, name: str) -> str:
        """A line that stands under `HEAD`."""
        return (
            f"{name:28} {self.requests_per_s:10,.1f} {self.sentences_per_s:11,.1f} "
            f"{1000 * self.p50_s:9,.1f} {1000 * self.p95_s:9,.1f} {1000 * self.p99_s:9,.1f} "
            f"{self.right:7,} {self.wrong:6,} {self.refused:8,} {self.errors:6,} {self.lost:5,} "
            f"{1000 * self.late_s:8,.1f}"
        )


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that `share` of them do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else math.nan


def figures(outcomes: Sequence[Outcome], dialect: Dialect, start: float, end: float) -> Figures:
    """The figures of the window from `start` to `end`, by the clock of the outcomes."""
    kinds = [outcome.kind(dialect) for outcome in outcomes]
    count = Counter(kinds)
    right = [outcome for outcome, kind in zip(outcomes, kinds, strict=True) if kind == "right"]
    served = [outcome for outcome in right if start <= outcome.finished < end]
    waits = [each.finished - each.planned for each in right if start <= each.planned < end]
    return Figures(
        requests_per_s=len(served) / (end - start),
        sentences_per_s=sum(outcome.ask.sentences for outcome in served) / (end - start),
        p50_s=percentile(waits, 0.50),
        p95_s=percentile(waits, 0.95),
        p99_s=percentile(waits, 0.99),
        right=count["right"],
        wrong=count["wrong"],
        refused=count["refused"],
        errors=count["error"],
        lost=count["lost"],
        late_s=percentile([each.sent - each.planned for each in outcomes if each.sent], 0.99),
    )
