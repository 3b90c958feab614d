"""EngineThread: the one thread that steps the engines of a worker, from its start to its stop.

Others reach the engine loop only by calls that they send here; it makes them between two steps.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread

from service.engine.engine_loop import EngineLoop
from service.engine.reply import Outbox
from service.errors import EngineFailed, ShuttingDown

log = logging.getLogger(__name__)

JOIN_S = 5.0
"""How long `stop` waits for the end of a step that should be over."""


class EngineThread:
    """Runs an engine loop, and says whether it is well."""

    def __init__(self, engine_loop: EngineLoop, outbox: Outbox, stuck_s: float) -> None:
        """`stuck_s`: how long a step may take before `alive` is False."""
        self._engine_loop, self._outbox, self._stuck_s = engine_loop, outbox, stuck_s
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread: Thread | None = None
        self._gate = Lock()  # what is submitted comes before the call that stops, or not at all
        self._open = False
        self._probing = False
        # Written by the thread itself:
        self._idle = True
        self._stop_at: float | None = None
        # By others too, when they send work to an idle thread:
        self._beat = time.monotonic()  # of the last pass

    def start(self, warm_up: Callable[[], None]) -> None:
        """Start the thread; returns after `warm_up`, which it makes first.

        Raises:
            Exception: what `warm_up` raised.
        """
        warm: SimpleQueue[Exception | None] = SimpleQueue()
        self._stop_at, self._idle = None, True
        self._thread = Thread(target=self._run, args=(warm_up, warm), name="engine", daemon=True)
        self._thread.start()
        error = warm.get()
        if error is not None:
            self._thread.join()
            self._thread = None
            try:
                raise error
            finally:
                del error  # else it would hold this frame, and the frame it and the engine
        self._open = True

    def stop(self, drain_s: float) -> None:
        """Take nothing more, finish what is there within `drain_s`, fail the rest."""
        with self._gate:
            self._open = False
        if self._thread is None:
            return
        self._calls.put(partial(self._stop_by, time.monotonic() + drain_s))
        self._thread.join(drain_s + JOIN_S)
        if self._thread.is_alive():
            log.error("the engine is stuck in a step: its thread is left behind")
            self._engine_loop.fail(ShuttingDown)
            self._outbox.flush()
        self._thread = None

    def check_open(self) -> None:
        """Make sure that work is taken.

        Raises:
            ShuttingDown: it is not.
        """
        if not self._open:
            raise ShuttingDown

    def submit(self, call: Callable[[], None]) -> None:
        """Send a call that brings work.

        Raises:
            ShuttingDown: none is taken any more.
        """
        with self._gate:
            self.check_open()
            self.send(call)

    def send(self, call: Callable[[], None]) -> None:
        """Let the thread make a call before its next step."""
        if self._idle and self._calls.empty():
            self._beat = time.monotonic()
        self._calls.put(call)

    def alive(self, now: float) -> bool:
        """False if there is work, and no pass has ended for `stuck_s`, or the thread has."""
        if self._thread is None:
            return True
        if not self._thread.is_alive():
            return False
        waiting = not self._idle or not self._calls.empty()
        return not waiting or now - self._beat <= self._stuck_s

    def ready(self, now: float) -> bool:
        """Whether work is taken, and something was translated since the engine last failed.

        While nothing was, each call lets the engine loop try again.
        """
        if self._open and self._engine_loop.faulty and not self._probing:
            self._probing = True
            self.send(self._probe)
        return self._open and not self._engine_loop.faulty and self.alive(now)

    def _run(self, warm_up: Callable[[], None], warm: "SimpleQueue[Exception | None]") -> None:
        try:
            warm_up()
        except Exception as error:
            warm.put(error)
            return
        warm.put(None)
        while self._stop_at is None or (
            self._engine_loop.busy and time.monotonic() < self._stop_at
        ):
            try:
                self._pass()
            except Exception:
                log.exception("the thread of the engine failed, and with it all requests")
                self._engine_loop.fail(EngineFailed)
            self._outbox.flush()
        self._engine_loop.fail(ShuttingDown)
        self._outbox.flush()

    def _pass(self) -> None:
        """Take on what has come, wait for something if there is nothing to do, make a step."""
        if not self._engine_loop.busy:
            self._idle = self._calls.empty()
            call = self._calls.get()
            self._idle = False
            call()
        while not self._calls.empty():
            self._calls.get()()
        if self._engine_loop.busy:
            self._engine_loop.turn()
        self._beat = time.monotonic()

    def _stop_by(self, at: float) -> None:
        self._stop_at = at

    def _probe(self) -> None:
        self._engine_loop.probe()
        self._probing = False
