"""Streams of events and clients that do not behave. What streams say is in `routes`."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack

import pytest
from starlette.types import Message

from service.api import sse
from service.api.sse import EventStream, StreamEvent
from tests.patience import PATIENCE_S


def test_a_client_that_reads_nothing_loses_its_place(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As with a full buffer of the connection, `send` never returns."""
    monkeypatch.setattr(sse, "STALLED_S", 0.05)
    left: list[str] = []
    sent: list[Message] = []

    async def more() -> AsyncGenerator[StreamEvent, None]:
        try:
            for number in range(100):
                yield "partial", {"text": str(number)}
        finally:
            left.append("stream")

    async def receive() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) == 3:
            await asyncio.sleep(60)

    async def test() -> None:
        stack = ExitStack()
        stack.callback(left.append, "server")
        stream = EventStream(("partial", {"text": ""}), more(), None, stack)
        await asyncio.wait_for(stream({"type": "http"}, receive, send), timeout=PATIENCE_S)

    asyncio.run(test())
    assert left == ["stream", "server"]
    assert len(sent) == 3 and sent[-1]["more_body"]  # not ended as if that were all
    assert "read nothing" in caplog.text
