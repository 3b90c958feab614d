"""Levels: how high queues and slots stand, read at the moment of the scrape."""

from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily, Metric


class Load(Protocol):
    """How much there is to do in a worker, as its `stats` say."""

    @property
    def waiting(self) -> int:
        """Not yet in an engine."""

    @property
    def waiting_pieces(self) -> int:
        """Source pieces in them."""

    @property
    def in_use(self) -> int:
        """Sentences in the engines."""

    @property
    def slots(self) -> int:
        """Room for sentences in the engines."""


class Watched(Protocol):
    """A worker, as far as it is measured and asked for its health."""

    @property
    def name(self) -> str:
        """Of the model."""

    @property
    def digest(self) -> str:
        """Of its checkpoint."""

    def alive(self, now: float) -> bool:
        """Whether its engines make steps while there is work."""

    def ready(self) -> bool:
        """Whether it is warm and its last generation succeeded."""

    def stats(self) -> Load:
        """What there is to do."""


class Accepted(Protocol):
    """What the whole server has accepted and not yet answered: `Admission`."""

    requests: int
    pieces: int


class Levels:
    """A collector of a registry. Quick, for it is asked on the event loop."""

    def __init__(self, workers: Callable[[], Sequence[Watched]], accepted: Accepted) -> None:
        self._workers, self._accepted = workers, accepted

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        yield GaugeMetricFamily(
            "dragoman_queue_requests",
            "Requests accepted and not yet answered",
            value=self._accepted.requests,
        )
        yield GaugeMetricFamily(
            "dragoman_queue_pieces",
            "Source pieces in these requests; their bytes, until they are counted",
            value=self._accepted.pieces,
        )
        build = GaugeMetricFamily("dragoman_build_info", "Always 1", labels=["version"])
        build.add_metric([version("dragoman")], 1)
        yield build
        yield from self._models()

    def _models(self) -> Iterable[Metric]:
        served = [(worker, worker.stats()) for worker in self._workers()]
        info = GaugeMetricFamily(
            "dragoman_model_info", "Always 1, for each model served", labels=["model", "digest"]
        )
        ready = _by_model("ready", "1 if the model is warm and translates")
        sentences = _by_model("waiting_sentences", "Sentences that are in no engine yet")
        pieces = _by_model("waiting_pieces", "Source pieces in these sentences")
        used = _by_model("slots_in_use", "Sentences in the engines")
        slots = _by_model("slots", "Room for sentences in the engines")
        for worker, load in served:
            model = [worker.name]
            info.add_metric([worker.name, worker.digest], 1)
            ready.add_metric(model, float(worker.ready()))
            sentences.add_metric(model, load.waiting)
            pieces.add_metric(model, load.waiting_pieces)
            used.add_metric(model, load.in_use)
            slots.add_metric(model, load.slots)
        return info, ready, sentences, pieces, used, slots


def _by_model(name: str, help_: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"dragoman_{name}", help_, labels=["model"])
