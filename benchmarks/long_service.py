"""What short requests to a server notice of a long text that is summarized meanwhile.

OMP_NUM_THREADS=1 python -m benchmarks.long_service RUN
OMP_NUM_THREADS=1 python -m benchmarks.long_service RUN --file BOOK --span 4096 --precision int8

RUN summarizes. A real server with one thread of torch answers short requests, one after the other
with a pause between two: first alone, then while a text of 500 KB is read whole (`on_long: whole`),
again and again until the time is over, when its client leaves. Without a file its words are made up
of syllables. Told are the median and the 99th percentile of the latency of both, their ratio, and
the memory of the server.
"""

import argparse
import contextlib
import http.client
import json
import random
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.decoding.available_memory import kilobytes

BYTES = 500_000
PAUSE_S = 0.02
WORDS, SYLLABLES = 3_000, ("ba", "den", "fi", "gor", "ha", "ken", "lu", "mis", "no", "tar", "ve")
OUTPUT = {"max_length_a": 0, "max_length_b": 60}
"""Limits of the answers."""


@dataclass(frozen=True, slots=True)
class Server:
    """One that is ready."""

    port: int
    process: "subprocess.Popen[str]"

    def memory(self, name: str) -> int:
        """Megabytes of `VmRSS`, what it holds, or `VmHWM`, the most that it has held."""
        return kilobytes(f"/proc/{self.process.pid}/status", name) // 10**6

    def connection(self) -> http.client.HTTPConnection:
        """A new connection, which is open."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.connect()
        return connection

    def summarize(
        self,
        text: str,
        fields: Mapping[str, object],
        connection: http.client.HTTPConnection | None = None,
    ) -> dict[str, Any]:
        """The summary by one request with more `fields`, on a connection that it ends.

        It is one of its own if None.
        """
        body = json.dumps({"text": text, **fields})
        connection = connection or self.connection()
        with contextlib.closing(connection):
            connection.request("POST", "/v1/summarize", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
            if response.status != 200:
                raise SystemExit(f"the server refuses: {answer}")
            summary: dict[str, Any] = answer["summaries"][0]
            return summary


@contextmanager
def running(run: Path, precision: str) -> Iterator[Server]:
    """A server, which is ended with the block."""
    flags = ["--port", "0", "--device", "cpu", "--precision", precision, "--threads", "1"]
    command = [sys.executable, "-m", "service.serve", str(run), *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if found := re.search(r"http://[^:]+:([0-9]+)", line):
                    # What it says later is read, or it would wait for that.
                    threading.Thread(target=process.stderr.read, daemon=True).start()
                    yield Server(int(found[1]), process)
                    return
            raise SystemExit(f"the server did not start: {' '.join(command)}")
        finally:
            process.terminate()


@dataclass(slots=True)
class LongTexts:
    """A client that has a long text summarized until it is told to stop."""

    server: Server
    text: str
    options: dict[str, object]
    seconds: list[float] = field(default_factory=list)
    """Of each that was answered."""
    pieces: int = 0
    enough: bool = False
    connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """Send it again and again, until `leave`."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            while not self.enough:
                started = time.monotonic()
                self.connection = self.server.connection()
                summary = self.server.summarize(
                    self.text, {"on_long": "whole", "options": self.options}, self.connection
                )
                self.seconds.append(time.monotonic() - started)
                self.pieces = summary["whole_source"]["pieces"]

    def leave(self) -> None:
        """End the connection, and so the work on the text."""
        self.enough = True
        if self.connection is not None and self.connection.sock is not None:
            self.connection.sock.shutdown(socket.SHUT_RDWR)


def latencies(server: Server, seconds: float) -> list[float]:
    """Milliseconds of short requests that were sent for so long, sorted."""
    rng = random.Random(1)
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        text = words(rng, 60)
        started = time.monotonic()
        server.summarize(text, {"options": OUTPUT})
        found.append(1000 * (time.monotonic() - started))
        time.sleep(PAUSE_S)
    return sorted(found)


def words(rng: random.Random, size: int) -> str:
    """About `size` characters of made-up words."""
    lexicon = random.Random(0)
    known = ["".join(lexicon.choices(SYLLABLES, k=lexicon.randint(1, 3))) for _ in range(WORDS)]
    chosen: list[str] = []
    length = 0
    while length < size:
        chosen.append(rng.choice(known))
        length += len(chosen[-1]) + 1
    return " ".join(chosen)


def told(found: list[float]) -> str:
    """Median and 99th percentile."""
    return f"median {statistics.median(found):.1f} ms, p99 {p99(found):.1f} ms of {len(found)}"


def p99(found: list[float]) -> float:
    """The 99th percentile of sorted values."""
    return found[int(0.99 * (len(found) - 1))]


def main() -> int:
    """Measure, and print what is told above."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--file", type=Path, help="the long text; its first 500 KB")
    parser.add_argument("--span", type=int, default=0, help="attention_span")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "int8"))
    parser.add_argument("--seconds", type=float, default=40.0, help="of each of the two")
    given = parser.parse_args()
    text = words(random.Random(2), BYTES)
    if given.file:
        text = given.file.read_bytes()[:BYTES].decode(errors="ignore")
    with running(given.run, given.precision) as server:
        latencies(server, 2.0)
        before = server.memory("VmRSS")
        idle = latencies(server, given.seconds)
        long = LongTexts(server, text, OUTPUT | {"attention_span": given.span})
        client = threading.Thread(target=long.run)
        client.start()
        busy = latencies(server, given.seconds)
        while client.is_alive():
            long.leave()
            client.join(1.0)
        latencies(server, 2.0)
        after, most = server.memory("VmRSS"), server.memory("VmHWM")
    print(f"idle: {told(idle)}")
    pieces = f" ({long.pieces:,} pieces)" if long.pieces else ""
    print(f"beside a text of {len(text):,} characters{pieces}: {told(busy)}")
    print(f"p99 {p99(busy) / p99(idle):.2f} times, median", end=" ")
    print(f"{statistics.median(busy) / statistics.median(idle):.2f} times that of the idle server")
    took = ", ".join(f"{each:.1f}" for each in long.seconds) or f"more than {given.seconds:g}"
    print(f"the long text took {took} s; the server held {before} MB before, at most {most} MB,")
    print(f"and {after} MB after it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
