"""HTTP protocol: uvicorn's parser and state machine, with limits on what one connection may cost.

uvicorn bounds neither the size, number nor duration of headers, nor how many requests are
pipelined, nor how long an answer may lie unread. Each connection gets these limits here, before
anything of it reaches the application. Whatever is refused here is answered with the JSON that
every other refusal has, and the connection is closed.
"""

import asyncio
import http
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.api.error_responses import Kind
from service.limits.connections import Connections
from service.observability.metrics import Metrics

MAX_HEAD_BYTES = 65_536
"""Request line and headers of a request, its trailers included."""
MAX_HEADERS = 100
FRAMING = 8
"""Bytes around each byte of a chunked body, if every chunk has one, and to spare."""
HEAD_S = 10.0
"""Seconds in which the head of a request must be complete."""
MAX_PIPELINED = 32
"""Requests of a connection that may wait behind the one being answered."""
UNREAD_S = 20.0
"""Seconds in which a client must make room in a full write buffer (64 KiB)."""
LINGER_S = 2.0
"""Seconds for which input is discarded after an answer that did not wait for all of it: a client
that is still sending would lose the answer if the connection were closed at once."""
LINGER_BYTES = 16_777_216
"""The most input that is discarded so."""

MALFORMED = Kind(400, "malformed_request", "This is not HTTP/1.1. Send a request of that form.")
HEAD_TOO_SLOW = Kind(
    408, "request_timeout", f"The head was not complete after {HEAD_S:g} seconds. Send it at once."
)
TOO_MANY_PIPELINED = Kind(
    429,
    "too_many_pipelined",
    f"At most {MAX_PIPELINED} requests may wait on a connection. Read the answers first.",
)
HEAD_TOO_LARGE = Kind(
    431,
    "headers_too_large",
    f"A head may have {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} headers. Send less than that.",
)
UNREAD = Kind(499, "answer_not_read", "The client did not read its answer.")
TOO_MANY_CONNECTIONS = Kind(
    503,
    "too_many_connections",
    "The server has as many connections as it takes, in all or from your address. Try again later.",
)
KINDS = (
    MALFORMED,
    HEAD_TOO_SLOW,
    TOO_MANY_PIPELINED,
    HEAD_TOO_LARGE,
    UNREAD,
    TOO_MANY_CONNECTIONS,
)
"""All that is refused here."""

log = logging.getLogger(__name__)


class _Stop(Exception):
    """Ends the parsing of a connection; why is in `HTTPProtocol._refused`."""


@dataclass(slots=True)
class Refusals:
    """Counts what is refused before it is a request, and logs it, at most once a second."""

    metrics: Metrics
    _unlogged: int = 0
    _logged_at: float = float("-inf")

    def note(self, kind: Kind) -> None:
        """Count a refusal."""
        self.metrics.refused_connections.labels(kind.type).inc()
        self._unlogged += 1
        now = time.monotonic()
        if now - self._logged_at >= 1:
            log.info("connections refused: %d, the last as %s", self._unlogged, kind.type)
            self._logged_at, self._unlogged = now, 0


class _Flow(FlowControl):
    """Lets reading stop for good: uvicorn resumes it with every answer."""

    stopped = False

    def resume_reading(self) -> None:
        if not self.stopped:
            super().resume_reading()

    def stop_reading(self) -> None:
        self.pause_reading()
        self.stopped = True

    def restart_reading(self) -> None:
        self.stopped = False
        self.resume_reading()


class _AnswerTransport:
    """The transport that a request is answered on.

    uvicorn closes it after the last answer of a connection; when and how is left to the protocol.
    """

    def __init__(self, transport: asyncio.Transport, cycle: RequestResponseCycle) -> None:
        self._transport, self._cycle = transport, cycle

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        if not self._cycle.response_complete:  # it failed half-way
            self._transport.close()


class HTTPProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        open_connections: Connections,
        refusals: Refusals,
    ) -> None:
        """
        Args:
            config, server_state, app_state, _loop: as uvicorn passes them.
            open_connections, refusals: those of the whole server.
        """
        super().__init__(config, server_state, app_state, _loop)
        self._open_connections, self._refusals = open_connections, refusals
        self._admitted = False
        # Of the request that is being parsed, which may be later than the one being answered:
        self._in_head, self._in_body = True, False
        self._started = False  # a byte of its head has come
        self._head_bytes = 0  # as the parser counts them, which sees only what is complete
        self._head_fed = 0  # as they come, but for the chunk in which the last request ended
        self._body_fed = self._body_bytes = 0  # likewise, and what is content
        self._headers = 0
        self._ended_here = False  # a request ended in the chunk that is being parsed
        self._refused: Kind | None = None  # nothing is parsed any more
        self._ending = False  # likewise: the last answer is written
        self._discarded = 0
        self._answering: RequestResponseCycle | None = None  # uvicorn's `cycle` is the latest
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit the connection, or refuse it."""
        super().connection_made(transport)
        self.flow: _Flow = _Flow(transport)
        host = self.client[0] if self.client else ""
        self._admitted = self._open_connections.admit(self, host)
        if self._admitted:
            self._after("head", HEAD_S, self._head_too_slow)
        else:
            self._refuse(TOO_MANY_CONNECTIONS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back what the connection held."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._open_connections.release(self)
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn leaves it running after an error

    def data_received(self, data: bytes) -> None:
        """Parse what has come, as far as the limits allow."""
        self._unset_keepalive_if_required()
        if "linger" in self._timers:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.transport.abort()
                return
        if self._refused is not None or self._ending:
            return
        self._ended_here = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # none is offered: the request is answered as if it had not asked for one
        except httptools.HttpParserError:
            self._refuse(self._refused or MALFORMED)
            return
        if self._in_body:
            self._body_fed += 0 if self._ended_here else len(data)
            framing = self._body_fed - self._body_bytes
            if framing > MAX_HEAD_BYTES + FRAMING * self._body_bytes:
                self._refuse(HEAD_TOO_LARGE)
        elif self._in_head and not (self._ended_here and not self._started):
            self._head_fed += 0 if self._ended_here else len(data)
            if self._head_fed > MAX_HEAD_BYTES:
                self._refuse(HEAD_TOO_LARGE)
            else:
                self._after("head", HEAD_S, self._head_too_slow, restart=False)

    # Called by the parser

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._started = True
        self._head_bytes = self._headers = 0

    def on_url(self, url: bytes) -> None:
        """Take the target of a request, or a part of it."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. A trailer is only counted: as a header it could say who the client is."""
        self._headers += 1
        self._count(len(name) + len(value) + 4)
        if not self._in_body:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Let the request be answered, or wait behind those before it."""
        self._cancel("head")
        if self.parser.get_http_version() not in ("1.1", "1.0"):
            self._refused = MALFORMED
            raise _Stop
        if not self._idle and len(self.pipeline) >= MAX_PIPELINED:
            self._refused = TOO_MANY_PIPELINED
            raise _Stop
        super().on_headers_complete()
        self.cycle.transport = _AnswerTransport(self.transport, self.cycle)  # type: ignore[assignment]
        self._in_head, self._in_body = False, True
        self._body_fed = self._body_bytes = 0
        if self.parser.should_upgrade():  # the parser reads nothing after it
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Note that the body of a request is complete."""
        super().on_message_complete()
        self._cancel("linger")
        self._in_head, self._in_body, self._started = True, False, False
        self._head_fed = 0
        self._ended_here = True
        if self._idle:  # it has been answered already
            self._wait()
        else:
            self._open_connections.work(self)

    def _count(self, bytes_: int) -> None:
        self._head_bytes += bytes_
        if self._head_bytes > MAX_HEAD_BYTES or self._headers > MAX_HEADERS:
            self._refused = HEAD_TOO_LARGE
            raise _Stop

    # Called by the transport and by answers

    def on_response_complete(self) -> None:
        """Go on with the next request, or send the refusal that comes after this answer."""
        last = not self.pipeline
        closes = self._answering is not None and not self._answering.keep_alive
        if closes and not self.transport.is_closing():
            self.server_state.total_requests += 1
            self._end()
            return
        super().on_response_complete()
        if self.transport.is_closing():
            self._after("unread", UNREAD_S, self.transport.abort, restart=False)
        elif last and self._refused is not None:
            self._send_refusal(self._refused)
        elif last and self._in_body:
            self._discarded = 0
            self._after("linger", LINGER_S, self._close)
        elif last:
            self._wait()

    def pause_writing(self) -> None:
        """Give the client a limited time to read."""
        super().pause_writing()
        self._after("unread", UNREAD_S, self._not_read)

    def resume_writing(self) -> None:
        """Note that the client has read."""
        if not self.transport.is_closing():
            self._cancel("unread")
        super().resume_writing()

    def eof_received(self) -> None:
        """Close, as uvicorn does, and give the client a limited time to read what is written."""
        self._after("unread", UNREAD_S, self.transport.abort, restart=False)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which no further request has come."""
        if not self.transport.is_closing():
            self._close()

    def evict(self) -> None:
        """Close the connection, which waits for a request, to make room for another."""
        self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _wait(self) -> None:
        """Wait for the next request: until the keep-alive timeout, or until its head is late."""
        self._open_connections.wait(self)
        self._unset_keepalive_if_required()
        if not self._started:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    @property
    def _idle(self) -> bool:
        """Whether no request is being answered or waits for that."""
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete)

    def _head_too_slow(self) -> None:
        self._cancel("head")
        if self.flow.read_paused:  # more may have come that was not looked at
            self._after("head", HEAD_S, self._head_too_slow)
        elif self._started or self.cycle is not None:
            self._refuse(HEAD_TOO_SLOW)
        else:  # nothing has been sent: nobody waits for an answer
            self.transport.close()

    def _not_read(self) -> None:
        self._refusals.note(UNREAD)
        self.transport.abort()

    def _refuse(self, kind: Kind) -> None:
        """Refuse what comes next, after the answers that are due before it."""
        self._refused = kind
        self._cancel("head")
        if self._in_body:
            self._give_up_body()
        if self._idle:
            self._send_refusal(kind)
        else:
            self.flow.stop_reading()

    def _give_up_body(self) -> None:
        """The rest of the body of the last request will never come."""
        self._in_body = False
        if self.pipeline:
            self.pipeline.popleft()
        elif self.cycle.response_started:
            self.transport.abort()
        else:
            self.cycle.disconnected = True
            self.cycle.waiting_for_100_continue = False
            self.cycle.message_event.set()
            self.cycle = None  # type: ignore[assignment]

    def _send_refusal(self, kind: Kind) -> None:
        self._refusals.note(kind)
        self.transport.write(_response(kind, self.server_state.default_headers))
        if self._admitted:
            self._linger()
        else:
            self._close()

    def _end(self) -> None:
        """Close after the last answer; a client that still sends must not lose it."""
        self._ending = True
        if self._in_body or self._refused is not None:
            self._linger()
        else:
            self._close()

    def _linger(self) -> None:
        """Close when the client has, which is told that no answer follows, or after `LINGER_S`."""
        if not self.transport.can_write_eof():
            self._close()
            return
        self._discarded = 0
        self.transport.write_eof()
        self.flow.restart_reading()
        self._after("linger", LINGER_S, self._close)

    def _close(self) -> None:
        """Close when everything is written, which the client gets a limited time to read."""
        self.transport.close()
        self._after("unread", UNREAD_S, self.transport.abort, restart=False)

    def _after(
        self, name: str, seconds: float, call: Callable[[], None], *, restart: bool = True
    ) -> None:
        if name in self._timers and not restart:
            return
        self._cancel(name)
        self._timers[name] = self.loop.call_later(seconds, call)

    def _cancel(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()


def _response(kind: Kind, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """The whole answer that refuses, with the JSON of every refusal."""
    body = kind.body().model_dump_json().encode()
    headers = [
        *default_headers,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", secrets.token_hex(16).encode()),
        (b"connection", b"close"),
    ]
    if kind.status in (429, 503):
        headers.append((b"retry-after", b"1"))
    phrase = http.HTTPStatus(kind.status).phrase.encode()
    lines = [b"HTTP/1.1 %d %b" % (kind.status, phrase), *(b"%b: %b" % pair for pair in headers)]
    return b"\r\n".join([*lines, b"", body])
