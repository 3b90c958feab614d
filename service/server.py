"""Server: uvicorn with graceful draining on SIGTERM and Ctrl-C, and a reload on SIGHUP.

A second SIGTERM or Ctrl-C ends the process at once. The handlers are Python's and not those of the
event loop, so that this works even if the event loop hangs.

While the server drains, new requests are refused and those accepted before are finished. The
sockets stay open until then, so that a late client gets an error that says why.
"""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from socket import socket
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.http_protocol import HTTPProtocol, Refusals
from service.engine.background_priority import lower_priority
from service.limits.clients import TrustedProxies
from service.limits.connections import Connections, allow_descriptors
from service.registry.model_registry import ModelRegistry
from service.settings import Settings


class InFlight:
    """The outermost ASGI middleware: counts the requests that a drain waits for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._draining = False
        self._idle = asyncio.Event()
        self.count = 0
        """Number of requests received before the drain whose answers are not complete."""

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
        """Wait until the current requests are answered; return False after `timeout_s`.

        It does not wait for requests that arrive later.
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
    """Wrap `send` so that the answer also closes its connection, to send clients elsewhere."""

    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", []), (b"connection", b"close")]
            message = {**message, "headers": headers}
        await send(message)

    return closing


log = logging.getLogger(__name__)

LAST_BYTES_S = 5
"""How long clients may take to read their answers after the drain."""


def background_threads() -> ThreadPoolExecutor:
    """Threads for `asyncio.to_thread`: what takes long, and may wait for what people wait for.

    A document takes a fifth of a second to cut. On one core an ordinary thread would have half of
    it meanwhile, and every short request would take twice as long.
    """
    return ThreadPoolExecutor(thread_name_prefix="background", initializer=lower_priority)


class Server(uvicorn.Server):
    """Serves an application until a signal ends it."""

    def __init__(
        self,
        app: FastAPI,
        registry: ModelRegistry,
        settings: Settings,
        *,
        ready: Callable[[], None],
    ) -> None:
        """
        Args:
            app: its lifespan starts and stops the models of `registry`.
            settings: its limits on connections, and the time for requests in flight at the end.
            ready: called when the models are warm and the server accepts requests.

        Raises:
            ConfigError: a trusted proxy is neither an address nor a network.
        """
        self._in_flight = InFlight(app)
        max_connections = allow_descriptors(settings.max_connections)
        proxies = TrustedProxies(settings.trusted_proxies)
        protocol = partial(
            HTTPProtocol,
            open_connections=Connections(max_connections, proxies),
            refusals=Refusals(registry.metrics),
        )
        config = uvicorn.Config(
            self._in_flight,
            lifespan="on",
            http=protocol,  # type: ignore[arg-type]  # called as the class would be
            ws="none",
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies.networks,
            timeout_graceful_shutdown=LAST_BYTES_S,
            log_config=None,  # see service/observability/logs.py
            access_log=False,
        )
        super().__init__(config)
        self._registry, self._drain_s, self._ready = registry, settings.drain_s, ready
        self._exiting = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Warm up the models, then listen."""
        asyncio.get_running_loop().set_default_executor(background_threads())
        await super().startup(sockets)
        # Modules, schemas and vocabularies stay: to look through them all again, each time that a
        # long document has made enough objects, stopped everything for a tenth of a second.
        gc.collect()
        gc.freeze()
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install our signal handlers in place of uvicorn's while it serves."""
        loop = asyncio.get_running_loop()

        def terminate(number: int, frame: FrameType | None) -> None:
            if self._exiting or not self.started:
                os._exit(128 + number)
            self._exiting = True
            loop.call_soon_threadsafe(self._spawn, self._drain)

        def reload(number: int, frame: FrameType | None) -> None:
            if self.started:
                loop.call_soon_threadsafe(self._spawn, self._registry.reload_all)

        handlers = {signal.SIGTERM: terminate, signal.SIGINT: terminate, signal.SIGHUP: reload}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def _drain(self) -> None:
        """Refuse new requests, wait for those in flight, and make uvicorn exit."""
        log.info("told to exit; requests in flight: %d", self._in_flight.count)
        self._registry.drain()
        if not await self._in_flight.drained(self._drain_s):
            log.warning(
                "requests that took longer than %g s and fail: %d",
                self._drain_s,
                self._in_flight.count,
            )
        await self._registry.stop(0)  # requests still in flight fail with an error
        self.should_exit = True

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)  # the loop itself holds only a weak reference
        task.add_done_callback(self._tasks.discard)
