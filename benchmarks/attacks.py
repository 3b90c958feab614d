"""Attacks: what a hostile client does to a server, each as a process of its own.

    python -m benchmarks.attacks NAME PORT SOURCE SECONDS

SOURCE is the address that the connections come from, 127.0.0.2 or 127.0.0.1. Only servers on this
machine are attacked. The process has a lower priority than others, so that the client that measures
the server beside it does not wait for the processor.
"""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

Connect = Callable[[], socket.socket]

HEAD = b"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PIPELINED = 250_000
PAUSE_S = 0.02
"""Between two attempts, so that an attack that is refused at once is no plain flood."""


def request(body: bytes) -> bytes:
    """A whole request for a translation."""
    return HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def silent(connect: Connect, end: float) -> None:
    """Announce 4 MB and send nothing."""
    _hold(connect, HEAD + b"Content-Length: 4000000\r\n\r\n", end)


def slow_body(connect: Connect, end: float) -> None:
    """Announce 10 bytes and send one."""
    _hold(connect, HEAD + b"Content-Length: 10\r\n\r\n{", end)


def idle(connect: Connect, end: float) -> None:
    """Open a connection and say nothing."""
    _hold(connect, b"", end)


def long_text(connect: Connect, end: float) -> None:
    """Translate 400,000 lines of one letter, again and again."""
    _ask(connect, request(json.dumps({"text": "a\n" * 400_000}).encode()), end)


def unknown_keys(connect: Connect, end: float) -> None:
    """Send 390,000 keys that are not known, again and again."""
    body = json.dumps({f"{n:x}": 1 for n in range(390_000)}, separators=(",", ":"))
    _ask(connect, request(body.encode()), end)


def not_read(connect: Connect, end: float) -> None:
    """Ask for answers as large as there are and read none."""
    wish = {"n_best": 8, "beam_size": 8, "split_sentences": "always"}
    text = "Ein Mann geht. " * 1_000
    body = {"text": text, "options": wish, "return": ["tokens", "alignment", "scores"]}
    _hold(connect, request(json.dumps(body).encode()) * 4, end)


def endless_header(connect: Connect, end: float) -> None:
    """Send a header that never ends."""
    _send(connect, lambda: _endless(b"GET /livez HTTP/1.1\r\nX: ", b"x" * 65_536), end)


def many_headers(connect: Connect, end: float) -> None:
    """Send 2,000,000 headers."""
    lines = b"a: b\r\n" * 10_000
    _send(connect, lambda: _times(b"GET /livez HTTP/1.1\r\n", lines, 200, b"\r\n"), end)


def pipelined(connect: Connect, end: float) -> None:
    """Send 250,000 requests without waiting for an answer, and read none."""
    ask = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1_000
    _send(connect, lambda: _times(b"", ask, PIPELINED // 1_000, b""), end)


ATTACKS: dict[str, tuple[Callable[[Connect, float], None], int]] = {
    "silent": (silent, 1),
    "slow-128": (slow_body, 128),
    "idle-600": (idle, 600),
    "long-text": (long_text, 1),
    "endless-header": (endless_header, 1),
    "many-headers": (many_headers, 1),
    "pipelined-1": (pipelined, 1),
    "pipelined-20": (pipelined, 20),
    "unknown-keys": (unknown_keys, 1),
    "not-read-25": (not_read, 25),
    "not-read-200": (not_read, 200),
}
"""What each of how many connections does at once."""


def _hold(connect: Connect, data: bytes, end: float) -> None:
    """Send `data` and stay, without reading; begin again where the server ends it."""
    while time.monotonic() < end:
        try:
            with connect() as connection:
                connection.sendall(data)
                while time.monotonic() < end and not _ended(connection):
                    time.sleep(0.2)
        except OSError:
            pass
        time.sleep(PAUSE_S)


def _ended(connection: socket.socket) -> bool:
    """Whether the server has closed, as far as can be told without reading."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _ask(connect: Connect, message: bytes, end: float) -> None:
    """Send a request and read the answer, again and again."""
    while time.monotonic() < end:
        try:
            with connect() as connection:
                connection.sendall(message)
                while connection.recv(65_536) and time.monotonic() < end:
                    pass
        except OSError:
            pass
        time.sleep(PAUSE_S)


def _send(connect: Connect, data: Callable[[], Iterator[bytes]], end: float) -> None:
    """Send without reading, again and again."""
    while time.monotonic() < end:
        try:
            with connect() as connection:
                for part in data():
                    connection.sendall(part)
                    if time.monotonic() > end:
                        return
                connection.settimeout(10)
                while connection.recv(65_536):
                    pass
        except OSError:
            pass
        time.sleep(PAUSE_S)


def _endless(head: bytes, rest: bytes) -> Iterator[bytes]:
    yield head
    while True:
        yield rest


def _times(head: bytes, part: bytes, count: int, end: bytes) -> Iterator[bytes]:
    yield head
    for _ in range(count):
        yield part
    yield end


def main(name: str, port: int, source: str, seconds: float) -> None:
    """Attack for so many seconds."""
    os.nice(10)
    attack, connections = ATTACKS[name]
    end = time.monotonic() + seconds

    def connect() -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), 5.0, (source, 0))

    threads = [
        threading.Thread(target=attack, args=(connect, end), daemon=True)
        for _ in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(end + 1 - time.monotonic(), 0))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
