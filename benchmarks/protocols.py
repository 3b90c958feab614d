"""HTTP protocols for uvicorn, compared: h11 and httptools as they come, and ours.

    python -m benchmarks.protocols [--rounds 5] [--seconds 3]

Each serves an application that answers "ok", on the first core; the load comes from the second.
Shown are requests per second of four connections, medians of alternating rounds, and for attacks of
benchmarks/attacks.py the longest that a client waited which sends one request every 0.1 s, each on
a connection of its own.
"""

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn
from starlette.types import Receive, Scope, Send

from benchmarks.servers import ROOT, START_S
from service.api.http_protocol import HTTPProtocol, Refusals
from service.limits.clients import TrustedProxies
from service.limits.connections import Connections
from service.observability.metrics import Metrics

PROTOCOLS = ("h11", "httptools", "ours")
ATTACKS = ("endless-header", "many-headers", "pipelined-1", "pipelined-20")
CONNECTIONS = 4
REQUEST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nUser-Agent: x\r\n\r\n"
LAST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def ok(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as a small route does."""
    headers = [(b"content-length", b"2"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def serve(name: str, port: int) -> None:
    """Serve with a protocol until the process is ended."""
    ours = partial(
        HTTPProtocol,
        open_connections=Connections(2_048, TrustedProxies(())),
        refusals=Refusals(Metrics()),
    )
    protocol: object = ours if name == "ours" else name
    uvicorn.run(
        ok,
        port=port,
        http=protocol,  # type: ignore[arg-type]  # called as the class would be
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
    )


@contextmanager
def running(name: str) -> Iterator[int]:
    """A server with this protocol in a process of its own; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["taskset", "-c", "0", sys.executable, "-m", "benchmarks.protocols", "--serve", name]
    with subprocess.Popen([*command, "--port", str(port)], cwd=ROOT) as process:
        try:
            end = time.monotonic() + START_S
            while time.monotonic() < end:
                try:
                    asyncio.run(_wait_of_one(port))
                    break
                except OSError:
                    time.sleep(0.1)
            yield port
        finally:
            process.terminate()


async def _wait_of_one(port: int) -> float:
    begin = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(LAST)
    await reader.read()
    writer.close()
    return time.monotonic() - begin


async def _requests_per_s(port: int, seconds: float) -> float:
    """Closed loops on `CONNECTIONS` connections."""
    end = time.monotonic() + seconds

    async def loop() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while time.monotonic() < end:
            writer.write(REQUEST)
            await reader.readuntil(b"ok")
            count += 1
        writer.close()
        return count

    return sum(await asyncio.gather(*(loop() for _ in range(CONNECTIONS)))) / seconds


async def _longest_wait(port: int, seconds: float) -> float:
    tasks = []
    for _ in range(round(seconds / 0.1)):
        tasks.append(asyncio.create_task(_wait_of_one(port)))
        await asyncio.sleep(0.1)
    return max(await asyncio.gather(*tasks))


def main() -> None:
    """Print a row for each protocol."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--serve", choices=PROTOCOLS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve, arguments.port)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    speeds: dict[str, list[float]] = {name: [] for name in PROTOCOLS}
    for number in range(arguments.rounds):
        for name in PROTOCOLS if number % 2 else PROTOCOLS[::-1]:
            with running(name) as port:
                asyncio.run(_requests_per_s(port, 0.5))
                speeds[name].append(asyncio.run(_requests_per_s(port, arguments.seconds)))
    print(f"{'protocol':10} requests/s (least - most)" + "".join(f"{a:>16}" for a in ATTACKS))
    for name in PROTOCOLS:
        waits = [_attacked(name, attack, arguments.seconds) for attack in ATTACKS]
        speed = speeds[name]
        print(
            f"{name:10} {statistics.median(speed):8.0f} ({min(speed):.0f} - {max(speed):.0f})   "
            + "".join(f"{wait * 1000:13.1f} ms" for wait in waits),
            flush=True,
        )


def _attacked(name: str, attack: str, seconds: float) -> float:
    """The longest wait in seconds beside an attack."""
    with running(name) as port:
        told = (attack, str(port), "127.0.0.2", str(seconds + 1))
        command = [sys.executable, "-m", "benchmarks.attacks", *told]
        with subprocess.Popen(command, cwd=ROOT) as process:
            time.sleep(0.5)
            wait = asyncio.run(_longest_wait(port, seconds))
            process.kill()
        return wait


if __name__ == "__main__":
    main()
