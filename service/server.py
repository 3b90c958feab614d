"""Server: uvicorn with our signals: SIGTERM and Ctrl-C drain, a second one ends, SIGHUP reloads.

Python's own handlers and not those of the event loop: a second SIGTERM also ends a process whose
event loop hangs.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from socket import socket
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from service.catalogue import Catalogue
from service.draining import InFlight

log = logging.getLogger(__name__)

LAST_BYTES_S = 5
"""How long clients may take to read answers that are ready when the drain is over."""


class Server(uvicorn.Server):
    """Serves an application until it is told to exit."""

    def __init__(
        self,
        app: FastAPI,
        catalogue: Catalogue,
        *,
        drain_s: float,
        ready: Callable[[], None],
    ) -> None:
        """
        Args:
            app: starts and stops the models of `catalogue` with its lifespan.
            drain_s: how long requests in flight may take at the end.
            ready: is called when the models are warm and the first request can come.
        """
        self._in_flight = InFlight(app)
        config = uvicorn.Config(
            self._in_flight,
            lifespan="on",
            timeout_graceful_shutdown=LAST_BYTES_S,
            log_config=None,  # see service/logs.py
            access_log=False,
        )
        super().__init__(config)
        self._catalogue, self._drain_s, self._ready = catalogue, drain_s, ready
        self._told = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Warm the models, then listen."""
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Our signals in the place of uvicorn's, for as long as it serves."""
        loop = asyncio.get_running_loop()

        def leave(number: int, frame: FrameType | None) -> None:
            if self._told or not self.started:
                os._exit(128 + number)
            self._told = True
            loop.call_soon_threadsafe(self._spawn, self._drain)

        def reload(number: int, frame: FrameType | None) -> None:
            if self.started:
                loop.call_soon_threadsafe(self._spawn, self._catalogue.reload_all)

        handlers = {signal.SIGTERM: leave, signal.SIGINT: leave, signal.SIGHUP: reload}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def _drain(self) -> None:
        """Refuse what is new, wait for what was accepted, and let uvicorn end."""
        log.info("told to exit; requests in flight: %d", self._in_flight.count)
        self._catalogue.drain()
        if not await self._in_flight.drained(self._drain_s):
            log.warning(
                "requests that took longer than %g s and fail: %d",
                self._drain_s,
                self._in_flight.count,
            )
        await self._catalogue.stop(0)  # whoever waits until now is told so
        self.should_exit = True

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)  # the loop keeps no reference of its own
        task.add_done_callback(self._tasks.discard)
