"""Server: uvicorn with our signals: SIGTERM and Ctrl-C drain, a second one ends, SIGHUP reloads.

Python's own handlers and not those of the event loop: a second SIGTERM also ends a process whose
event loop hangs.

A drain is what happens between being told to exit and the exit. New requests are refused while
those that were accepted before finish. The sockets stay open for that long: a client that comes too
late reads why, where a closed socket would say nothing.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from socket import socket
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.registry.model_registry import ModelRegistry


class InFlight:
    """ASGI middleware, outside of all others: counts the requests that a drain waits for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._draining = False
        self._idle = asyncio.Event()
        self.count = 0
        """Requests that came before the drain and have not yet got their whole answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if self._draining:
            return await self._app(scope, receive, _closing(send))
        self.count += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.count -= 1
            if not self.count:
                self._idle.set()

    async def drained(self, timeout_s: float) -> bool:
        """Wait until those that are here now have their answers; False if the time was too short.

        Those that come from now on are not waited for.
        """
        self._draining = True
        if not self.count:
            return True
        self._idle.clear()
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True


def _closing(send: Send) -> Send:
    """Answers that also end their connections, so that the next request goes elsewhere."""

    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", []), (b"connection", b"close")]
            message = {**message, "headers": headers}
        await send(message)

    return closing


log = logging.getLogger(__name__)

BACKGROUND_NICENESS = 10
"""Of the threads of the background: beside others that want the core, they have a tenth of it."""

LAST_BYTES_S = 5
"""How long clients may take to read answers that are ready when the drain is over."""


def background_threads() -> ThreadPoolExecutor:
    """Threads for `asyncio.to_thread`: what takes long, and may wait for what people wait for.

    A document takes a fifth of a second to cut. On one core an ordinary thread would have half of
    it meanwhile, and every short request would take twice as long.
    """
    return ThreadPoolExecutor(thread_name_prefix="background", initializer=_lower_priority)


def _lower_priority() -> None:
    if sys.platform == "linux":  # elsewhere it would be that of the whole process
        os.nice(BACKGROUND_NICENESS)


class Server(uvicorn.Server):
    """Serves an application until it is told to exit."""

    def __init__(
        self,
        app: FastAPI,
        registry: ModelRegistry,
        *,
        drain_s: float,
        ready: Callable[[], None],
    ) -> None:
        """
        Args:
            app: starts and stops the models of `registry` with its lifespan.
            drain_s: how long requests in flight may take at the end.
            ready: is called when the models are warm and the first request can come.
        """
        self._in_flight = InFlight(app)
        config = uvicorn.Config(
            self._in_flight,
            lifespan="on",
            timeout_graceful_shutdown=LAST_BYTES_S,
            log_config=None,  # see service/observability/logs.py
            access_log=False,
        )
        super().__init__(config)
        self._registry, self._drain_s, self._ready = registry, drain_s, ready
        self._told = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Warm the models, then listen."""
        asyncio.get_running_loop().set_default_executor(background_threads())
        await super().startup(sockets)
        # Modules, schemas and vocabularies stay: to look through them all again, each time that a
        # long document has made enough objects, stopped everything for a tenth of a second.
        gc.collect()
        gc.freeze()
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
                loop.call_soon_threadsafe(self._spawn, self._registry.reload_all)

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
        self._registry.drain()
        if not await self._in_flight.drained(self._drain_s):
            log.warning(
                "requests that took longer than %g s and fail: %d",
                self._drain_s,
                self._in_flight.count,
            )
        await self._registry.stop(0)  # whoever waits until now is told so
        self.should_exit = True

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)  # the loop keeps no reference of its own
        task.add_done_callback(self._tasks.discard)
