"""Engine thread: the thread that runs the engine loop of a worker, from start to stop.

Other threads reach the engine loop only through calls sent here, which run between two passes.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread

from service.engine.engine_loop import AnyJob, EngineLoop
from service.engine.reply import LoopNotifier
from service.errors import EngineFailed, ShuttingDown

log = logging.getLogger(__name__)

JOIN_S = 5.0
"""How long `stop` waits, after the drain time, for the current step to end."""


class EngineThread:
    """Runs an engine loop and reports whether it is alive and ready."""

    def __init__(self, engine_loop: EngineLoop, notifier: LoopNotifier, stuck_s: float) -> None:
        """`stuck_s`: how long a pass may take before `alive` returns False."""
        self._engine_loop, self._notifier, self._stuck_s = engine_loop, notifier, stuck_s
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread: Thread | None = None
        self._submit_lock = Lock()  # work is queued before the call that stops, or refused
        self._open = False
        self._probing = False
        # Written only by the thread itself:
        self._idle = True
        self._stop_at: float | None = None
        # When the last pass ended; also set by other threads that send work to an idle one:
        self._last_pass = time.monotonic()

    def start(self, warm_up: Callable[[], None]) -> None:
        """Start the thread and return once it has run `warm_up`.

        Raises:
            Exception: whatever `warm_up` raised.
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
        """Refuse new work, finish pending work within `drain_s` and fail the rest."""
        with self._submit_lock:
            self._open = False
        if self._thread is None:
            return
        self._calls.put(partial(self._stop_by, time.monotonic() + drain_s))
        self._thread.join(drain_s + JOIN_S)
        if self._thread.is_alive():
            log.error("the engine is stuck in a step: its thread is left behind")
            self._engine_loop.fail(ShuttingDown)
            self._notifier.flush()
        self._thread = None

    def check_open(self) -> None:
        """Check that new work is accepted.

        Raises:
            ShuttingDown: the thread is stopping or stopped.
        """
        if not self._open:
            raise ShuttingDown

    def submit(self, call: Callable[[], None]) -> None:
        """Send a call that adds work.

        Raises:
            ShuttingDown: the thread is stopping or stopped.
        """
        with self._submit_lock:
            self.check_open()
            self.send(call)

    def send(self, call: Callable[[], None]) -> None:
        """Have the thread make a call before its next step."""
        if self._idle and self._calls.empty():
            self._last_pass = time.monotonic()
        self._calls.put(call)

    def release(self, work: AnyJob) -> None:
        """Clean up after a request that was answered, or cancel its work if its client has left.

        Called on the event loop. The caller then forgets `work`: an error in its answer holds the
        frames that it has passed through, and a frame that held the work would close a cycle, which
        keeps the texts alive.
        """
        answer = work.reply.answer
        if answer.done() and not answer.cancelled():
            answer.exception()  # retrieved, since asyncio warns of an exception that never was
        else:
            answer.cancel()
            self.send(partial(self._engine_loop.cancel, work))

    def alive(self, now: float) -> bool:
        """Return False if the thread has died, or has work but no pass ended for `stuck_s`."""
        if self._thread is None:
            return True
        if not self._thread.is_alive():
            return False
        waiting = not self._idle or not self._calls.empty()
        return not waiting or now - self._last_pass <= self._stuck_s

    def ready(self, now: float) -> bool:
        """Return whether work is accepted and the engine has recovered from its last failure.

        While it has not recovered, each call makes the engine loop probe it again.
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
                log.exception("the engine thread failed, and with it all requests")
                self._engine_loop.fail(EngineFailed)
            self._notifier.flush()
        self._engine_loop.fail(ShuttingDown)
        self._notifier.flush()

    def _pass(self) -> None:
        """Make the queued calls, waiting for one if there is no work, then run one pass."""
        if not self._engine_loop.busy:
            self._idle = self._calls.empty()
            call = self._calls.get()
            self._idle = False
            call()
        while not self._calls.empty():
            self._calls.get()()
        if self._engine_loop.busy:
            self._engine_loop.run_pass()
        self._last_pass = time.monotonic()

    def _stop_by(self, at: float) -> None:
        self._stop_at = at

    def _probe(self) -> None:
        self._engine_loop.probe()
        self._probing = False
