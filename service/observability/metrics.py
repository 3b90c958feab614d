"""Metrics: the counters, gauges and histograms of the service, for Prometheus.

Each application has its own registry. Metrics are declared here and updated where the events
happen, through the objects of prometheus_client: steps in the engine loop, requests in the
middleware, reloads in the model registry. Queue lengths are set at the scrape. Labels come only
from the configuration and from constants in the source, never from what a client sends.
"""

from dataclasses import dataclass
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

# The `_created` series would nearly double the output, and nothing uses them.
disable_created_metrics()  # type: ignore[no-untyped-call]

STEP_BOUNDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0)
WAIT_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
REQUEST_BOUNDS = (*WAIT_BOUNDS, 60.0, 300.0)

FAILURES = ("step", "memory", "probe")
"""Kinds of engine failures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineMetrics:
    """The metrics of one model's engines, updated in the engine thread."""

    step_seconds: Histogram
    step_rows: Counter
    queue_seconds: Histogram
    sentences: Counter
    source_pieces: Counter
    target_pieces: Counter
    failures: dict[str, Counter]
    """By kind, see `FAILURES`."""


class Metrics:
    """All metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._declare_requests()
        self._declare_engines()
        self._declare_levels()

    def _declare_requests(self) -> None:
        self.requests = self._counter(
            "requests",
            "Finished requests, by outcome",
            "route",
            "model",
            "outcome",
        )
        self.request_seconds = self._histogram(
            "request_seconds",
            "From the head of a request to the end of its answer, for outcome ok",
            REQUEST_BOUNDS,
            "route",
            "model",
        )
        self.first_partial_seconds = self._histogram(
            "first_partial_seconds",
            "From the head of a request to the first text of its stream",
            REQUEST_BOUNDS,
            "model",
        )
        self.refusals = self._counter(
            "refusals",
            "Requests that were answered with an error, by the type of the error",
            "reason",
        )
        self.refused_connections = self._counter(
            "refused_connections",
            "Connections ended for what was sent, or not read, on them, by the type of the error",
            "reason",
        )
        self.requests_in_progress = self._gauge(
            "requests_in_progress", "Requests whose answer is not yet complete, on every route"
        )
        self.reloads = self._counter(
            "reloads",
            "Reloads of a model, ok or failed; a failed one leaves the old model serving",
            "model",
            "outcome",
        )
        self.log_lines_dropped = self._counter(
            "log_lines_dropped", "Lines for standard error that could not be written"
        )

    def _declare_engines(self) -> None:
        self._step_seconds = self._histogram(
            "step_seconds", "Duration of an engine step", STEP_BOUNDS, "model"
        )
        self._step_rows = self._counter(
            "step_rows", "Hypotheses extended, summed over all steps", "model"
        )
        self._queue_seconds = self._histogram(
            "queue_seconds",
            "How long a request waited before it joined an engine",
            WAIT_BOUNDS,
            "model",
        )
        self._sentences = self._counter("sentences", "Finished sentences", "model")
        self._source_pieces = self._counter(
            "source_pieces", "Source pieces of the finished sentences", "model"
        )
        self._target_pieces = self._counter(
            "target_pieces", "Pieces of the best hypotheses of these sentences", "model"
        )
        self._engine_failures = self._counter(
            "engine_failures",
            "Engine failures, by kind: step (it raised), memory (the device ran out of memory), "
            "probe (the trial translation after an error failed)",
            "model",
            "kind",
        )

    def _declare_levels(self) -> None:
        """Declare what is set at the scrape."""
        self.queue_requests = self._gauge(
            "queue_requests", "Requests accepted and not yet answered"
        )
        self.queue_pieces = self._gauge(
            "queue_pieces", "Source pieces in these requests; their bytes, until they are counted"
        )
        self.model_info = self._gauge(
            "model_info", "Always 1, for each model served", "model", "digest"
        )
        self.ready = self._gauge("ready", "1 if the model is warm and translates", "model")
        self.waiting_sentences = self._gauge(
            "waiting_sentences", "Sentences queued for an engine", "model"
        )
        self.waiting_pieces = self._gauge(
            "waiting_pieces", "Source pieces in these sentences", "model"
        )
        self.slots_in_use = self._gauge("slots_in_use", "Sentences in the engines", "model")
        self.slots = self._gauge("slots", "Sentences that fit into the engines", "model")
        self._gauge("build_info", "Always 1", "version").labels(version("dragoman")).set(1)

    def engine(self, model: str) -> EngineMetrics:
        """Return the metrics of the engines of `model`; a reloaded model continues them."""
        return EngineMetrics(
            step_seconds=self._step_seconds.labels(model),
            step_rows=self._step_rows.labels(model),
            queue_seconds=self._queue_seconds.labels(model),
            sentences=self._sentences.labels(model),
            source_pieces=self._source_pieces.labels(model),
            target_pieces=self._target_pieces.labels(model),
            failures={kind: self._engine_failures.labels(model, kind) for kind in FAILURES},
        )

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics and their content type, in the format that `accept` asks for."""
        try:
            encode, content_type = choose_encoder(accept)
        except TypeError:  # it names a version that is no number
            encode, content_type = choose_encoder("")
        return encode(self.registry), content_type

    def _counter(self, name: str, help_: str, *labels: str) -> Counter:
        return Counter(f"dragoman_{name}", help_, labels, registry=self.registry)

    def _gauge(self, name: str, help_: str, *labels: str) -> Gauge:
        return Gauge(f"dragoman_{name}", help_, labels, registry=self.registry)

    def _histogram(
        self, name: str, help_: str, bounds: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"dragoman_{name}", help_, labels, buckets=bounds, registry=self.registry)
