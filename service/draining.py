"""Draining: what happens between being told to exit and the exit.

New requests are refused while those that were accepted before finish. The sockets stay open for
that long: a client that comes too late reads why, where a closed socket would say nothing.
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


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
