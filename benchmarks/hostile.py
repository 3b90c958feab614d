"""The server under attack: what a gentle client gets beside each attack, and what memory it costs.

    python -m benchmarks.hostile RUN [--seconds 60] [--only NAME ...] [--json FILE]

The gentle client sends one short sentence every 0.1 s, each on a connection of its own; a latency
is counted from when the request was due. The attacks are those of benchmarks/attacks.py, each once
from 127.0.0.2 and once from the address of the gentle client, against a new server on the first
core. Client and attack share the second core. `--root DIR` takes the server from another checkout.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.attacks import ATTACKS, request
from benchmarks.dialects import Dragoman
from benchmarks.figures import percentile
from benchmarks.servers import ONE_THREAD, ROOT, Recipe, Server, ServerError, running

PERIOD_S = 0.1
PATIENCE_S = 30.0
TEXT = "Es ist halb vier."
OWN, OTHER = "127.0.0.1", "127.0.0.2"
NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What the gentle client got beside one attack."""

    attack: str
    source: str
    requests: int
    refused: int
    """Answers other than 200, and connections that gave none."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    grown_mib: float
    """Resident memory of the server at its highest, less that before the attack."""


def main(argv: list[str] | None = None) -> int:
    """Run the attacks and print a row for each."""
    arguments = command_line().parse_args(argv)
    rows = []
    print(f"{'attack':16} {'from':10} refused   p50 ms   p99 ms   max ms      MiB", flush=True)
    for name in arguments.only:
        for source in (OTHER,) if name == NONE else (OTHER, OWN):
            row = measure(arguments, name, source)
            rows.append(row)
            print(
                f"{row.attack:16} {row.source:10} {row.refused / row.requests:7.1%} "
                f"{row.p50_ms:8.1f} {row.p99_ms:8.1f} {row.max_ms:8.1f} {row.grown_mib:+8.1f}",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 0


def command_line() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--seconds", type=float, default=60.0)
    choices = [NONE, *ATTACKS]
    parser.add_argument("--only", nargs="+", choices=choices, default=choices, metavar="NAME")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser


def measure(arguments: argparse.Namespace, name: str, source: str) -> Row:
    """One attack on a server of its own.

    Raises:
        ServerError: the server did not start.
    """
    server_core, client_core = 0, max(os.sched_getaffinity(0))
    flags = ("--precision", "int8", "--threads", "1", "--port", "{port}")
    command = (sys.executable, "-m", "service.serve", str(arguments.run.resolve()), *flags)
    recipe = Recipe(
        name="dragoman",
        command=("taskset", "-c", "{core}", *command),
        dialect=Dragoman(5),
        environment=ONE_THREAD,
        folder=arguments.root,
    )
    with running(recipe, server_core) as server:
        before = server.resident_kib()
        attack = None
        if name != NONE:
            told = (name, str(server.port), source, str(arguments.seconds + 2))
            attack = subprocess.Popen(
                [
                    "taskset",
                    "-c",
                    str(client_core),
                    sys.executable,
                    "-m",
                    "benchmarks.attacks",
                    *told,
                ],
                cwd=ROOT,
            )
            time.sleep(1)  # it has begun
        try:
            latencies, refused, highest = asyncio.run(
                _gentle(server, round(arguments.seconds / PERIOD_S))
            )
        finally:
            if attack is not None:
                attack.kill()
                attack.wait()
    return Row(
        attack=name,
        source=source,
        requests=len(latencies),
        refused=refused,
        p50_ms=percentile(latencies, 0.5) * 1000,
        p99_ms=percentile(latencies, 0.99) * 1000,
        max_ms=max(latencies) * 1000,
        grown_mib=(highest - before) / 1024,
    )


async def _gentle(server: Server, count: int) -> tuple[list[float], int, int]:
    """Latencies of `count` requests in seconds, how many were refused, and the highest memory."""
    message = request(json.dumps({"text": TEXT}).encode()).replace(
        b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1
    )
    begin = time.monotonic()
    highest = server.resident_kib()
    tasks = []
    for number in range(count):
        due = begin + number * PERIOD_S
        await asyncio.sleep(max(due - time.monotonic(), 0))
        highest = max(highest, server.resident_kib())
        tasks.append(asyncio.create_task(_once(server.port, message, due)))
    answers = await asyncio.gather(*tasks)
    latencies = [latency for latency, _ in answers]
    return latencies, sum(not right for _, right in answers), highest


async def _once(port: int, message: bytes, due: float) -> tuple[float, bool]:
    """The latency of a request, and whether it was answered with 200."""
    answer = b""
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(message)
                answer = await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        pass
    return time.monotonic() - due, answer.startswith(b"HTTP/1.1 200")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ServerError as error:
        sys.exit(str(error))
