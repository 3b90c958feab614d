"""Engine observer: what a worker tells about its work, for instance to metrics."""

import logging
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Its methods are called in the thread of the engine, so they must be quick."""

    def step(self, seconds: float, rows: int) -> None:
        """A step took this long, with so many hypotheses in flight."""

    def queued(self, seconds: float) -> None:
        """The first sentence of a request waited this long for the engine."""

    def finished(self, source_pieces: int, target_pieces: int) -> None:
        """A sentence is over; its best hypothesis has so many target pieces."""

    def failed(self, kind: str) -> None:
        """The engine failed: in a step, for want of memory or not, or in the probe that follows
        (`memory`, `step`, `probe`)."""


class Silent:
    """An observer that tells nobody."""

    def step(self, seconds: float, rows: int) -> None:
        """Nothing."""

    def queued(self, seconds: float) -> None:
        """Nothing."""

    def finished(self, source_pieces: int, target_pieces: int) -> None:
        """Nothing."""

    def failed(self, kind: str) -> None:
        """Nothing."""


class Guarded:
    """Another observer, whose failures are logged once and disturb nobody."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self._failed = False

    def step(self, seconds: float, rows: int) -> None:
        """See `Observer`."""
        self._guard(lambda: self.observer.step(seconds, rows))

    def queued(self, seconds: float) -> None:
        """See `Observer`."""
        self._guard(lambda: self.observer.queued(seconds))

    def finished(self, source_pieces: int, target_pieces: int) -> None:
        """See `Observer`."""
        self._guard(lambda: self.observer.finished(source_pieces, target_pieces))

    def failed(self, kind: str) -> None:
        """See `Observer`."""
        self._guard(lambda: self.observer.failed(kind))

    def _guard(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            if not self._failed:
                log.exception("an observer of the engine failed; it is logged this once")
            self._failed = True
