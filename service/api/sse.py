"""Server-sent events: streams an answer as it is generated, to a client that may disconnect."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import ExitStack

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api.error_responses import error_body
from service.errors import DeadlinePassed

StreamEvent = tuple[str, bytes]
"""Name (`partial`, `done` or `error`) and data, as JSON."""


class EventStream(Response):
    """Sends events until they end, the client disconnects or the deadline passes."""

    media_type = "text/event-stream"

    def __init__(
        self,
        first: StreamEvent,
        rest: AsyncGenerator[StreamEvent, None],
        deadline: float | None,
        stack: ExitStack,
    ) -> None:
        """
        Args:
            first: the first event, awaited by the caller so that an earlier failure gets its own
                status.
            stack: closed when the response ends, however it ends.
        """
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._first, self._rest, self._stack = first, rest, stack
        self._deadline = deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(send))
        end = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({sending, end}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            end.cancel()
            await asyncio.gather(sending, end, return_exceptions=True)
            await self._rest.aclose()
            self._stack.close()

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        await send(_frame(self._first))
        try:
            while (event := await self._next()) is not None:
                await send(_frame(event))
        except TimeoutError:
            await send(_frame(error_event(DeadlinePassed())))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self) -> StreamEvent | None:
        """The next event; None after the last.

        Only this is timed: an event that is half sent when the deadline passes is sent in full.

        Raises:
            TimeoutError: the deadline has passed.
        """
        left = None if self._deadline is None else self._deadline - time.monotonic()
        async with asyncio.timeout(left):
            return await anext(self._rest, None)


def error_event(error: Exception) -> StreamEvent:
    """Return the event that reports `error` to a client once the stream has begun."""
    return "error", error_body(error).model_dump_json().encode()


def _frame(event: StreamEvent) -> dict[str, object]:
    name, data = event
    body = b"event: %b\ndata: %b\n\n" % (name.encode(), data)
    return {"type": "http.response.body", "body": body, "more_body": True}
