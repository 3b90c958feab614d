"""Intake: what arrives over a real connection, in pieces, too late, or not at all."""

import asyncio
import json
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from model.checkpoint.checkpoint import load_checkpoint
from service.api import intake
from service.app import create_app
from service.limits.admission import Admission
from service.registry.model_registry import ModelRegistry
from service.settings import Settings
from tests.patience import PATIENCE_S

HEAD = b"POST /v1/translate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
GOOD = json.dumps({"text": "der Hund läuft."}).encode()
LONG = json.dumps(
    {
        "text": ["der Hund läuft."] * 50,
        "options": {"min_length": 50, "max_length_a": 0, "max_length_b": 50},
    }
).encode()


@pytest.fixture(scope="module")
def app(tiny_checkpoint: Path, make_registry: Callable[..., ModelRegistry]) -> FastAPI:
    return create_app(make_registry(load_checkpoint(tiny_checkpoint)), Settings())


@pytest.fixture(scope="module")
def port(app: FastAPI) -> Iterator[int]:
    config = uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    listener.listen()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()


@asynccontextmanager
async def connection(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, object]]:
    """Status and body of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    body: dict[str, object] = json.loads(await reader.readexactly(length))
    return int(head.split()[1]), body


async def exchange(port: int, *pieces: bytes) -> tuple[int, dict[str, object]]:
    async with connection(port) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(answer(reader), PATIENCE_S)


def with_length(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def chunked(*pieces: bytes) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def test_a_body_in_pieces(port: int) -> None:
    whole = with_length(GOOD)
    assert asyncio.run(exchange(port, *(bytes([byte]) for byte in whole)))[0] == 200
    assert asyncio.run(exchange(port, chunked(GOOD[:7], GOOD[7:])))[0] == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (chunked(GOOD[:-1]), 400),
        (chunked(b"\0" * 1000), 400),
        (chunked(*[b" " * 1_000_000] * 5), 413),
        (HEAD + b"Content-Length: 99999999999\r\n\r\n", 413),
        (with_length(b"[" * 1_000_000), 422),
        (with_length(b'{"text": "' + b"a" * 1_000_000 + b'"}'), 422),
        (with_length(json.dumps({"text": ["a"] * 257}).encode()), 422),
        (HEAD.replace(b"application/json", b"text/html") + b"Content-Length: 1\r\n\r\nx", 415),
        (HEAD + b"\r\n", 400),
    ],
)
def test_what_cannot_be_taken_is_refused(port: int, request_: bytes, status: int) -> None:
    found, body = asyncio.run(exchange(port, request_))
    assert found == status
    assert body.keys() == {"error"}
    assert asyncio.run(exchange(port, with_length(GOOD)))[0] == 200


def test_a_body_that_does_not_come_in_time(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "GRACE_S", 0.2)
    status, answer = asyncio.run(exchange(port, HEAD + b"Content-Length: 50\r\n\r\n{"))
    assert status == 408
    assert "arrived too slowly" in json.dumps(answer)


def test_clients_that_leave_at_any_time_leave_nothing_behind(app: FastAPI, port: int) -> None:
    rng = random.Random(1)
    admission: Admission = app.state.admission

    async def leave() -> None:
        stream = LONG[:-1] + b', "stream": true}'
        body = rng.choice([GOOD, LONG, stream.replace(b'["der', b'"der').replace(b"]", b"")])
        whole = with_length(body)
        async with connection(port) as (reader, writer):
            writer.write(whole[: rng.randint(1, len(whole))] if rng.random() < 0.5 else whole)
            await writer.drain()
            if rng.random() < 0.3:
                await asyncio.wait({asyncio.ensure_future(reader.read(10))}, timeout=0.05)

    async def all_leave() -> None:
        for _ in range(8):
            await asyncio.gather(*(leave() for _ in range(8)))
        assert (await exchange(port, with_length(GOOD)))[0] == 200
        async with asyncio.timeout(30):
            while admission.requests:
                assert (await exchange(port, with_length(GOOD)))[0] == 200

    asyncio.run(all_leave())
    assert (admission.requests, admission.pieces) == (0, 0)
