"""Tally: what one engine did, added up by its own thread without a lock.

Whoever scrapes reads the sums while they grow: a number may be a step old, and none is torn.
"""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

STEP_BOUNDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0)
WAIT_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

FAILURES = ("step", "memory", "probe")
"""Kinds of failures of an engine."""


class Durations:
    """A histogram that one thread fills and others may read."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """A bucket holds what is at most its bound."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


class Tally:
    """The observer of one engine. Its methods are for the thread of the engine alone."""

    def __init__(self) -> None:
        self.steps = Durations(STEP_BOUNDS)
        self.waits = Durations(WAIT_BOUNDS)
        self.rows = self.sentences = self.source_pieces = self.target_pieces = 0
        self.failures = dict.fromkeys(FAILURES, 0)

    def step(self, seconds: float, rows: int) -> None:
        """A step was made, with so many hypotheses in it."""
        self.steps.add(seconds)
        self.rows += rows

    def queued(self, seconds: float) -> None:
        """The first sentence of a request joined an engine after it had waited so long."""
        self.waits.add(seconds)

    def finished(self, source_pieces: int, target_pieces: int) -> None:
        """A sentence is over; its best hypothesis has so many target pieces."""
        self.sentences += 1
        self.source_pieces += source_pieces
        self.target_pieces += target_pieces

    def failed(self, kind: str) -> None:
        """The engine failed, in one of the ways of `FAILURES`."""
        self.failures[kind] += 1


class Engines:
    """The tallies of all engines that there were, as a collector of a registry.

    A reloaded model has another tally in the same sums: no counter falls. The old ones stay, two
    kilobytes each.
    """

    def __init__(self) -> None:
        self._tallies: dict[str, list[Tally]] = {}

    def observer(self, model: str) -> Tally:
        """A new tally, for an engine of `model`."""
        tally = Tally()
        self._tallies.setdefault(model, []).append(tally)
        return tally

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        for name, help_, value in _SUMS:
            counter = CounterMetricFamily(f"dragoman_{name}", help_, labels=["model"])
            for model, tallies in self._tallies.items():
                counter.add_metric([model], sum(getattr(each, value) for each in tallies))
            yield counter
        failures = CounterMetricFamily(
            "dragoman_engine_failures",
            "Failures of an engine, by kind: step (it raised), memory (the device had none left), "
            "probe (the generation after an error failed)",
            labels=["model", "kind"],
        )
        for model, tallies in self._tallies.items():
            for kind in FAILURES:
                failures.add_metric([model, kind], sum(each.failures[kind] for each in tallies))
        yield failures
        for name, help_, value in _DURATIONS:
            histogram = HistogramMetricFamily(f"dragoman_{name}", help_, labels=["model"])
            for model, tallies in self._tallies.items():
                buckets, total = _added([getattr(each, value) for each in tallies])
                histogram.add_metric([model], buckets, total)
            yield histogram


_SUMS = (
    ("sentences", "Sentences that are over", "sentences"),
    ("source_pieces", "Source pieces of the sentences that are over", "source_pieces"),
    ("target_pieces", "Pieces of the best hypotheses of these sentences", "target_pieces"),
    ("step_rows", "Hypotheses extended, added up over all steps", "rows"),
)
_DURATIONS = (
    ("step_seconds", "Time of a step of the engine", "steps"),
    ("queue_seconds", "How long a request waited before it joined an engine", "waits"),
)
"""Name of the metric, its help, and the attribute of `Tally`."""


def _added(all_: list[Durations]) -> tuple[list[tuple[str, float]], float]:
    """Buckets as Prometheus has them, each with what is in those before it, and the total."""
    counts = (sum(column) for column in zip(*(list(each.counts) for each in all_), strict=True))
    bounds = [str(float(bound)) for bound in all_[0].bounds] + ["+Inf"]
    sums = [float(count) for count in accumulate(counts)]
    return list(zip(bounds, sums, strict=True)), sum(each.total for each in all_)
