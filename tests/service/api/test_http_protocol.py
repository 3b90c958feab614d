"""HTTP protocol: what a connection may cost, and the answers to what is no HTTP."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from service.api import http_protocol
from service.api.http_protocol import KINDS, MAX_HEADERS, MAX_PIPELINED, HTTPProtocol, Refusals
from service.limits.clients import TrustedProxies
from service.limits.connections import Connections
from service.observability.metrics import Metrics
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[3]
GET = b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /quick HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
TRAILERS = b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
BIG = 32 * 1024 * 1024
"""Bytes of an answer that no buffer of the system holds."""


class App:
    """Answers at once, late, with much, or with what it was sent."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.held = threading.Event()
        self.gone = threading.Event()
        """A client left before its answer was complete."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.paths.append(scope["path"])
        headers: list[tuple[bytes, bytes]] = []
        body = b"ok"
        if scope["path"] == "/late":
            await asyncio.sleep(0.3)
        if scope["path"] == "/hold":
            await asyncio.to_thread(self.held.wait, PATIENCE_S)
        if scope["path"] == "/echo":
            body = b""
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.gone.set()
                    return
                body += message["body"]
                more = message["more_body"]
        if scope["path"] == "/big":
            headers.append((b"content-length", b"%d" % BIG))
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for _ in range(BIG // 65_536):
                await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
            message = await receive()
            self.gone.set()
            return
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Running:
    """The server of a test."""

    def __init__(self, max_connections: int = 100, proxies: tuple[str, ...] = ()) -> None:
        self.app, self.metrics = App(), Metrics()
        self.connections = Connections(max_connections, TrustedProxies(proxies))
        protocol = partial(
            HTTPProtocol, open_connections=self.connections, refusals=Refusals(self.metrics)
        )
        config = uvicorn.Config(
            self.app,
            port=0,
            http=protocol,  # type: ignore[arg-type]  # called as the class would be
            ws="none",
            lifespan="off",
            log_config=None,
            timeout_keep_alive=1,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        listener = config.bind_socket()
        listener.listen(500)
        self.port = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]})
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S, (source, 0))

    def exchange(self, data: bytes) -> bytes:
        """All that comes back until the server closes, of a client that sends no more."""
        with self.connect() as connection:
            connection.sendall(data)
            return everything(connection)

    def refused(self, kind: str) -> float:
        labels = {"reason": kind}
        return (
            self.metrics.registry.get_sample_value("dragoman_refused_connections_total", labels)
            or 0.0
        )


def everything(connection: socket.socket) -> bytes:
    found = b""
    try:
        while data := connection.recv(65_536):
            found += data
    except ConnectionResetError:
        pass
    return found


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[Running] = []

    def start(*arguments: int | tuple[str, ...]) -> Running:
        started.append(Running(*arguments))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.stop()


def refusal(answer: bytes) -> tuple[int, str]:
    """Status and type of a refusal, which is the last that came, and whole."""
    head, _, body = answer.rpartition(b"HTTP/1.1 ")[2].partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert int(headers["content-length"]) == len(body)
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])
    error = json.loads(body)["error"]
    assert error.keys() == {"type", "message"} and error["message"]
    assert ("retry-after" in headers) == (int(lines[0][:3]) in (429, 503))
    return int(lines[0][:3]), error["type"]


MALFORMED = [
    b"\r\n\r\n\0",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
    b"hello\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /quick\r\n\r\n",  # HTTP/0.9
    b"GET /quick HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /quick HTTQ/1.1\r\nHost: x\r\n\r\n",
    b"GET /qu\0ick HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
    b"get /quick HTTP/1.1\r\nHost: x\r\n\r\n",
    b"BREW /quick HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /quick HTTP/1.1\r\nHost x\r\n\r\n",
    b"GET /quick HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
    b"GET /quick HTTP/1.1\r\nHo st: x\r\n\r\n",
    b"GET /quick HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET /quick HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    b"GET /quick HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
    b"GET /quick HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n\0",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\na",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\na",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\na",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA\r\n\r\n",
]


@pytest.mark.parametrize("data", MALFORMED)
def test_what_is_no_http_is_refused_as_everything_is(running: Running, data: bytes) -> None:
    assert refusal(running.exchange(data)) == (400, "malformed_request")
    assert running.exchange(LAST)[9:12] == b"200"


def test_good_requests_before_a_bad_one_are_answered(running: Running) -> None:
    answer = running.exchange(GET.replace(b"quick", b"late") + GET + b"\0")
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert refusal(answer) == (400, "malformed_request")


def test_a_bad_body_ends_the_request_that_has_it(start: Start) -> None:
    running = start()
    with running.connect() as connection:
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + b"1\r\na\r\n")
        while running.app.paths != ["/echo"]:
            time.sleep(0.01)
        connection.sendall(b"\0")
        assert refusal(everything(connection)) == (400, "malformed_request")
    assert running.app.gone.wait(PATIENCE_S)


def test_an_upgrade_is_answered_as_if_it_had_not_been_asked_for(running: Running) -> None:
    upgrade = b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
    answer = running.exchange(GET.removesuffix(b"\r\n") + upgrade + GET)
    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.count(b"HTTP/1.1") == 1


LINE = b"GET /quick HTTP/1.1\r\n"
LONG = b"a: " + b"b" * 70_000 + b"\r\n"


@pytest.mark.parametrize(
    "head",
    [
        LINE + LONG + b"\r\n",
        LINE + b"a: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        LINE + b"a: b\r\n" * 200_000,
        LINE + b"X: " + b"x" * 2_000_000,
        b"GET /" + b"x" * 2_000_000,
        b"GET /" + b"x" * 66_000 + b" HTTP/1.1\r\n\r\n",
        GET + LINE + b"X: " + b"x" * 2_000_000,
        TRAILERS + b"a: b\r\n" * 200 + b"\r\n",
    ],
)
def test_a_head_is_bounded(running: Running, head: bytes) -> None:
    assert refusal(running.exchange(head)) == (431, "headers_too_large")


@pytest.mark.parametrize(
    "headers", [b"a: b\r\n" * (MAX_HEADERS - 1), b"a: " + b"b" * 60_000 + b"\r\n"]
)
def test_as_much_as_is_allowed(running: Running, headers: bytes) -> None:
    answer = running.exchange(LINE + b"Connection: close\r\n" + headers + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_a_head_byte_by_byte(running: Running) -> None:
    with running.connect() as connection:
        for byte in GET + LAST:
            connection.sendall(bytes([byte]))
        assert everything(connection).count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", b""),
        (b"GET /quick HTTP/1.1\r\nHo", b"HTTP/1.1 408 Request Timeout"),
        (GET + b"GET /quick", b"HTTP/1.1 200 OK"),
    ],
)
def test_a_head_has_a_deadline(
    running: Running, monkeypatch: pytest.MonkeyPatch, data: bytes, expected: bytes
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_S", 0.3)
    answer = running.exchange(data)
    assert answer.startswith(expected) and (answer or not expected)
    if data:
        assert refusal(answer) == (408, "request_timeout")


def test_line_ends_between_requests_do_not_keep_a_connection(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_S", 0.5)
    with running.connect() as connection:
        connection.sendall(GET)
        end = time.monotonic() + PATIENCE_S
        connection.settimeout(0.05)
        found = b""
        while time.monotonic() < end and b"408" not in found:
            try:
                connection.sendall(b"\r\n")
                found += connection.recv(65_536)
            except TimeoutError:
                pass
        assert refusal(found) == (408, "request_timeout")


def test_only_so_many_requests_wait_on_a_connection(running: Running) -> None:
    late = GET.replace(b"quick", b"late")
    answer = running.exchange(late + GET * 1_000)
    assert answer.count(b"HTTP/1.1 200 OK") == 1 + MAX_PIPELINED
    assert refusal(answer) == (429, "too_many_pipelined")


def test_answers_that_are_not_read_end_the_connection(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "UNREAD_S", 0.3)
    running = start()
    with running.connect() as connection:
        connection.sendall(GET.replace(b"quick", b"big"))
        assert running.app.gone.wait(PATIENCE_S)
        assert len(everything(connection)) < BIG
    assert running.refused("answer_not_read") == 1


def test_a_slow_reader_that_goes_on_gets_all(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "UNREAD_S", 5.0)
    running = start()
    with running.connect() as connection:
        connection.sendall(GET.replace(b"quick", b"big"))
        received = 0
        while received < BIG:
            received += len(connection.recv(1_000_000))
            time.sleep(0.01)
    assert running.refused("answer_not_read") == 0


def test_a_body_that_nobody_wanted_does_not_keep_the_connection(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "LINGER_S", 0.3)
    head = b"POST /quick HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n"
    assert running.exchange(head + b"x" * 10).startswith(b"HTTP/1.1 200 OK")
    with running.connect() as connection:
        connection.sendall(head)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(10_000):
                connection.sendall(b"x" * 65_536)


@pytest.mark.parametrize("ending", [b"HTTP/1.0\r\n", b"HTTP/1.1\r\nConnection: close\r\n"])
def test_an_answer_that_closes_reaches_a_client_that_still_sends(
    running: Running, ending: bytes
) -> None:
    """Closing at once would reset the connection, and what is not read yet would be lost."""
    with running.connect() as connection:
        connection.sendall(b"POST /quick " + ending + b"Host: x\r\nContent-Length: 8000000\r\n\r\n")
        for _ in range(80):  # more than the buffers hold
            connection.sendall(bytes(100_000))
            time.sleep(0.001)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        assert connection.recv(65_536) == b""


def test_a_large_body_in_the_chunk_of_the_next_request_does_not_count_for_it(
    running: Running,
) -> None:
    first = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"a" * 100_000
    second = b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 20\r\n\r\n"
    with running.connect() as connection:
        connection.sendall(first + second + b"b" * 10)
        time.sleep(0.1)
        connection.sendall(b"b" * 10)
        answers = everything(connection)
    assert answers.count(b"HTTP/1.1 200 OK") == 2 and answers.endswith(b"b" * 20)


def test_a_body_that_comes_after_its_answer_leaves_a_connection_that_waits(start: Start) -> None:
    running = start(8)
    with running.connect() as connection:
        connection.sendall(b"POST /quick HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        connection.sendall(b"0123456789" + GET)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        connection.sendall(b"POST /quick HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        connection.sendall(b"0123456789")
        assert everything(connection) == b""  # after the keep-alive timeout
    assert len(running.connections) == 0


@pytest.mark.parametrize("rest", [b"0\r\nX: " + b"x" * 1_000_000, b"1;" + b"x" * 1_000_000])
def test_what_surrounds_a_body_is_bounded(running: Running, rest: bytes) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert refusal(running.exchange(head + b"1\r\na\r\n" + rest)) == (431, "headers_too_large")


def test_small_chunks_are_no_attack(running: Running) -> None:
    head = b"POST /echo HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = running.exchange(head + b"1\r\na\r\n" * 200_000 + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"a" * 200_000)


def test_a_client_that_leaves_is_noticed_though_it_has_pipelined(start: Start) -> None:
    running = start()
    with running.connect() as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n1234")
        while running.app.paths != ["/echo"]:
            time.sleep(0.01)
        connection.sendall(b"5" + GET.replace(b"quick", b"late") + GET + GET)
    end = time.monotonic() + PATIENCE_S
    while len(running.connections) and time.monotonic() < end:
        time.sleep(0.01)
    assert len(running.connections) == 0


def test_an_address_gets_half_of_the_connections(start: Start) -> None:
    running = start(8)
    busy = [running.connect("127.0.0.2") for _ in range(4)]
    for connection in busy:
        connection.sendall(GET.replace(b"quick", b"hold"))
    while len(running.app.paths) < 4:
        time.sleep(0.01)
    with running.connect("127.0.0.2") as one_more:
        assert refusal(everything(one_more)) == (503, "too_many_connections")
    assert running.exchange(LAST)[9:12] == b"200"
    running.app.held.set()
    for connection in busy:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        connection.close()


def test_a_new_connection_takes_the_place_of_one_that_waits(start: Start) -> None:
    running = start(8)
    waiting = [running.connect() for _ in range(4)]
    while len(running.connections) < 4:
        time.sleep(0.01)
    assert running.exchange(LAST)[9:12] == b"200"
    assert everything(waiting[0]) == b""
    waiting[3].sendall(GET)
    assert waiting[3].recv(65_536).startswith(b"HTTP/1.1 200 OK")
    for connection in waiting:
        connection.close()


def test_a_body_that_does_not_come_makes_room(start: Start) -> None:
    running = start(4)
    slow = [running.connect() for _ in range(2)]
    for connection in slow:
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
    while len(running.app.paths) < 2:
        time.sleep(0.01)
    assert running.exchange(LAST)[9:12] == b"200"
    assert running.app.gone.wait(PATIENCE_S)
    for connection in slow:
        connection.close()


def test_connections_are_given_back(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "LINGER_S", 0.1)
    running = start(8)
    for data in (*MALFORMED, b"", LAST):
        with running.connect() as connection:
            connection.sendall(data)
    end = time.monotonic() + PATIENCE_S
    while len(running.connections) and time.monotonic() < end:
        time.sleep(0.01)
    assert len(running.connections) == 0


def test_every_refusal_is_in_the_documentation() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for kind in KINDS:
        assert f"| {kind.status} | `{kind.type}` |" in text
