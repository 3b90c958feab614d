"""Draining: which requests are waited for, and which are not."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import Message, Receive, Scope, Send

from service.server import InFlight


async def nothing() -> Message:
    return {"type": "http.request"}


def gated(gates: dict[str, asyncio.Event]) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """An application whose paths answer when their gates open."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await gates[scope["path"]].wait()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})

    return app


async def ask(app: InFlight, path: str) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app({"type": "http", "path": path}, nothing, send)
    return sent


def test_a_drain_waits_for_those_before_it_and_no_others() -> None:
    async def test() -> None:
        gates = {"early": asyncio.Event(), "late": asyncio.Event()}
        app = InFlight(gated(gates))
        early = asyncio.create_task(ask(app, "early"))
        await asyncio.sleep(0)
        drained = asyncio.create_task(app.drained(60))
        await asyncio.sleep(0)
        late = asyncio.create_task(ask(app, "late"))
        await asyncio.sleep(0)
        assert (app.count, drained.done()) == (1, False)
        gates["early"].set()
        assert await drained
        (start,) = await early
        assert start["headers"] == [(b"a", b"b")]
        assert not late.done()
        gates["late"].set()
        (start,) = await late
        assert start["headers"] == [(b"a", b"b"), (b"connection", b"close")]

    asyncio.run(test())


def test_an_idle_server_is_drained_at_once_and_a_slow_one_in_time() -> None:
    async def test() -> None:
        gates = {"slow": asyncio.Event(), "quick": asyncio.Event()}
        gates["quick"].set()
        app = InFlight(gated(gates))
        await ask(app, "quick")
        slow = asyncio.create_task(ask(app, "slow"))
        await asyncio.sleep(0)
        assert not await app.drained(0.01)
        gates["slow"].set()
        await slow
        assert await app.drained(0)

    asyncio.run(test())


def test_a_request_that_fails_is_over() -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError

    async def test() -> None:
        app = InFlight(fail)
        (error,) = await asyncio.gather(ask(app, "x"), return_exceptions=True)
        assert isinstance(error, ValueError)
        assert await app.drained(0)

    asyncio.run(test())
