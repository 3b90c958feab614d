"""A connection to a server, one request at a time: as little HTTP/1.1 as a load generator needs.

Requests are bytes that were made before the measurement, and an answer is found by its
`Content-Length`, so that a request costs the machine that it shares with the server tens of
microseconds. Answers in chunks are not read; a server that sends them is told so by an error.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, cast

CONTINUE = 100


class Message(NamedTuple):
    """A request as bytes; the body stands apart, because a client may hold it back."""

    head: bytes
    body: bytes


def post(path: str, body: bytes, *headers: str) -> Message:
    """A POST of JSON. `headers` are whole lines, such as "Authorization: Bearer KEY"."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return Message("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n", body)


def expecting(message: Message) -> Message:
    """The same, its body to be held back until the server says "100 Continue"."""
    return Message(message.head[:-2] + b"Expect: 100-continue\r\n\r\n", message.body)


class Connection(asyncio.Protocol):
    """Sends one request, tells of its answer, and is ready for the next."""

    def __init__(
        self,
        answered: Callable[["Connection", int, bytes], None],
        ended: Callable[["Connection"], None],
        accepted: Callable[["Connection"], None],
    ) -> None:
        """
        Args:
            answered: called with the status and the body of each answer.
            ended: called when there is no connection any more.
            accepted: called when the server says "100 Continue".
        """
        self._answered, self._ended, self._accepted = answered, ended, accepted
        self._buffer = b""
        self._body_bytes = -1  # of the answer that is being read; -1: its head is not there yet
        self._status = 0
        self._held = b""
        self.reusable = True
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(self)

    def send(self, message: Message, *, hold: bool = False) -> None:
        """Send a request, with `hold` only its head until the server asks for the body."""
        self._held = message.body if hold else b""
        self._transport.write(message.head if hold else message.head + message.body)

    def close(self) -> None:
        """Hang up at once, whatever is under way."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while self._body_bytes < 0:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self._buffer = rest
            self._read_head(head)
        if len(self._buffer) >= self._body_bytes:
            body, self._buffer = self._buffer[: self._body_bytes], b""
            self._body_bytes = -1
            self._answered(self, self._status, body)

    def _read_head(self, head: bytes) -> None:
        self._status = int(head[9:12])
        if self._status == CONTINUE:
            self._accepted(self)
            self._transport.write(self._held)
            return
        lowered = head.lower() + b"\r\n"
        _, found, rest = lowered.partition(b"\r\ncontent-length:")
        if not found:
            raise ValueError("an answer without Content-Length; this client reads no other")
        self._body_bytes = int(rest[: rest.index(b"\r")])
        self.reusable = b"\r\nconnection: close" not in lowered
