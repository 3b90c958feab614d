"""Metrics: what the service counts and measures, for Prometheus.

Each application has a registry of its own. What engines do is added up by their own threads, see
`service/observability/tally.py`, and how high the queues stand is read at the scrape, see
`service/observability/levels.py`. Labels are names from the configuration and words from tables in
the source: nothing that a client sends becomes one.
"""

from collections.abc import Callable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from service.observability.levels import Accepted, Levels, Watched
from service.observability.request_record import RequestRecord
from service.observability.tally import WAIT_BOUNDS, Engines, Tally

# When each series began: nearly as many lines again, for nobody.
disable_created_metrics()  # type: ignore[no-untyped-call]

REQUEST_BOUNDS = (*WAIT_BOUNDS, 60.0, 300.0)

OK, REFUSED, OVERLOADED, DEADLINE, UNAVAILABLE, GONE, FAILED = (
    "ok",
    "refused",
    "overloaded",
    "deadline",
    "unavailable",
    "client_gone",
    "failed",
)
"""What came of a request."""

_OWN_WORD = {429: OVERLOADED, 499: GONE, 503: UNAVAILABLE, 504: DEADLINE}


def outcome_of(status: int) -> str:
    """What came of a request, in the few words that are enough for a graph."""
    if status in _OWN_WORD:
        return _OWN_WORD[status]
    return OK if 100 <= status < 400 else REFUSED if 400 <= status < 500 else FAILED


class Metrics:
    """The registry of one application. Of the event loop, but for the observers."""

    def __init__(self, workers: Callable[[], Sequence[Watched]], accepted: Accepted) -> None:
        """
        Args:
            workers: those that serve now, one for each model; asked at every scrape.
            accepted: by the whole server.
        """
        self._engines = Engines()
        self.registry = registry = CollectorRegistry()
        registry.register(Levels(workers, accepted))
        registry.register(self._engines)
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "dragoman_requests",
            "Requests that are over, by what came of them",
            ["route", "model", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "dragoman_request_seconds",
            "From the head of a request to the end of its answer, of those with outcome ok",
            ["route", "model"],
            buckets=REQUEST_BOUNDS,
            registry=registry,
        )
        self._first_partial = Histogram(
            "dragoman_first_partial_seconds",
            "From the head of a request to the first text of its stream",
            ["model"],
            buckets=REQUEST_BOUNDS,
            registry=registry,
        )
        self._refusals = Counter(
            "dragoman_refusals",
            "Requests that were answered with an error, by the type of the error",
            ["reason"],
            registry=registry,
        )
        self._reloads = Counter(
            "dragoman_reloads",
            "Reloads of a model, ok or failed; a failed one leaves the old model serving",
            ["model", "outcome"],
            registry=registry,
        )
        self.in_progress = Gauge(
            "dragoman_requests_in_progress",
            "Requests whose answer is not yet complete, on every route",
            registry=registry,
        )

    def observer(self, model: str) -> Tally:
        """The observer for the engine of a worker that serves `model`."""
        return self._engines.observer(model)

    def over(self, record: RequestRecord) -> None:
        """A request is over."""
        outcome = outcome_of(record.status)
        self._requests.labels(record.route, record.model, outcome).inc()
        if outcome == OK:
            self._seconds.labels(record.route, record.model).observe(record.seconds)
        elif outcome != GONE:
            self._refusals.labels(record.reason or outcome).inc()
        if record.first_partial is not None:
            self._first_partial.labels(record.model).observe(record.first_partial - record.started)

    def reloaded(self, model: str, succeeded: bool) -> None:
        """A reload of `model`, one of those that are served, is over."""
        self._reloads.labels(model, OK if succeeded else FAILED).inc()

    def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics and their content type, in the format that the header `Accept` asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
