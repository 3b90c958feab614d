"""Server-sent events: what a deadline ends, and what it leaves whole."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import ExitStack

from starlette.types import Message

from service.api.sse import EventStream, StreamEvent


def sent(*, waits_s: float, sends_s: float, deadline_s: float | None) -> list[str]:
    """The names of the events that a client gets, each in full.

    Args:
        waits_s: what the second event takes to come.
        sends_s: what it takes to send an event.
    """

    async def events() -> AsyncGenerator[StreamEvent, None]:
        await asyncio.sleep(waits_s)
        yield "done", b"{}"

    async def run() -> list[str]:
        bodies = []

        async def send(message: Message) -> None:
            if message.get("body"):
                await asyncio.sleep(sends_s)
                bodies.append(message["body"])

        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError("nobody disconnects")

        deadline = None if deadline_s is None else time.monotonic() + deadline_s
        stream = EventStream(("partial", b"{}"), events(), deadline, ExitStack())
        await stream({"type": "http"}, receive, send)
        assert all(body.startswith(b"event: ") and body.endswith(b"}\n\n") for body in bodies)
        return [body.split(b"\n")[0].removeprefix(b"event: ").decode() for body in bodies]

    return asyncio.run(run())


def test_what_comes_in_time_is_sent() -> None:
    assert sent(waits_s=0, sends_s=0, deadline_s=None) == ["partial", "done"]


def test_what_is_late_is_an_error() -> None:
    assert sent(waits_s=60, sends_s=0, deadline_s=0.05) == ["partial", "error"]


def test_an_event_that_is_half_sent_at_the_deadline_is_sent_in_full() -> None:
    assert sent(waits_s=0, sends_s=0.3, deadline_s=0.4) == ["partial", "done"]
