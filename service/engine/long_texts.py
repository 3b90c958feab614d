"""Long texts: a second engine thread of a model, for texts of any length that are read whole.

It is started for the first of them, at a lower priority than that of the other thread, and searches
for one text at a time. A step is one chunk of the encoder or one piece of the output, and between
two of them it looks at deadlines and at clients that have left.
"""

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from service.engine.background_priority import lower_priority
from service.engine.engine_loop import EngineLoop
from service.engine.engine_thread import EngineThread
from service.engine.reply import LoopNotifier
from service.errors import ShuttingDown


class Started(NamedTuple):
    """The parts of an engine thread that runs."""

    engine_loop: EngineLoop
    notifier: LoopNotifier
    thread: EngineThread


class LongTexts:
    """The thread, once there is one. Safe to use from several threads."""

    def __init__(self, make_loop: Callable[[], EngineLoop], stuck_s: float) -> None:
        """
        Args:
            make_loop: makes its engine loop.
            stuck_s: see `EngineThread`.
        """
        self._make_loop, self._stuck_s = make_loop, stuck_s
        self._changing = Lock()
        self._stopped = False
        self.started: Started | None = None

    def start(self) -> Started:
        """Start the thread, unless that is done.

        Raises:
            ShuttingDown: `stop` was called.
        """
        with self._changing:
            if self._stopped:
                raise ShuttingDown
            if self.started is None:
                engine_loop, notifier = self._make_loop(), LoopNotifier()
                thread = EngineThread(engine_loop, notifier, self._stuck_s)
                thread.start(lower_priority)
                self.started = Started(engine_loop, notifier, thread)
            return self.started

    def stop(self, drain_s: float) -> None:
        """Refuse new work, finish pending work within `drain_s` and fail the rest."""
        with self._changing:
            self._stopped = True
        if self.started is not None:
            self.started.thread.stop(drain_s)

    def alive(self, now: float) -> bool:
        """Return False if it has work but made no step for too long; see `EngineThread.alive`."""
        return self.started is None or self.started.thread.alive(now)

    def ready(self, now: float) -> bool:
        """Return whether it has recovered from its last failure, if there was one."""
        return self.started is None or self.started.thread.ready(now)
