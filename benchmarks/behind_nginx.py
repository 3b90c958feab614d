"""Two servers behind nginx, one killed and one drained, again and again, under load.

    python -m benchmarks.behind_nginx RUN [--rounds 10] [--clients 8] [--config deploy/nginx.conf]

In each round the load goes on while a server is killed (SIGKILL), started again, and while the
other is drained (SIGTERM) and started again. Every answer is compared with the one that the same
text got alone. Needs the program nginx. Nothing may be wrong, and nothing lost that may be retried:
a request without a stream, to which nothing was answered yet.
"""

import argparse
import asyncio
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.load import Ask, Load, Outcome
from benchmarks.rounds import alone
from benchmarks.servers import Recipe, Server, dragoman, running

TEXTS = (
    "Wo ist der Bahnhof?",
    "Ich habe keine Zeit.",
    "Das Wasser ist kalt.",
    "Sie liest ein Buch.",
    "Kannst du mir helfen?",
    "Wir wohnen in einem kleinen Haus am Rand der Stadt.",
    "Er hat gestern den ganzen Tag gearbeitet. Heute schläft er.",
)
SETTLE_S = 1.0
"""Load before and after each change."""


def main() -> int:
    """Print a row for each round, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--config", type=Path, default=Path("deploy/nginx.conf"))
    arguments = parser.parse_args()
    recipe = dragoman(
        arguments.run.absolute(),
        flags="--device cpu --precision int8 --threads 1",
        beam_size=1,
        environment={"DRAGOMAN_TRUSTED_PROXIES": "127.0.0.1"},
    )
    total: Counter[str] = Counter()
    print(
        f"{'round':>5}  {'killed: right':>13} {'others':>20}  {'drained: right':>14} {'others':>20}"
    )
    with two_servers(recipe) as places, nginx(arguments.config, places.ports) as front:
        server: Server = replace(places.servers[0], port=front)
        asks = alone(server, TEXTS)
        for number in range(1, arguments.rounds + 1):
            told = []
            for kind in ("killed", "drained"):
                outcomes = asyncio.run(
                    under_load(front, asks, arguments.clients, places, number % 2, kind)
                )
                found = Counter(outcome.kind(recipe.dialect) for outcome in outcomes)
                total += Counter({f"{kind} {what}": count for what, count in found.items()})
                right = found.pop("right", 0)
                told.append((right, dict(found) or "none"))
            (first, others), (second, more) = told
            print(f"{number:5}  {first:13,} {others!s:>20}  {second:14,} {more!s:>20}", flush=True)
    print(dict(total))
    return 0


class Places:
    """Two servers, each at a port of its own, where it is started again."""

    def __init__(self, recipe: Recipe, stack: ExitStack) -> None:
        self._recipe, self._stack = recipe, stack
        self.servers = [stack.enter_context(running(recipe, core)) for core in (0, 1)]
        self.ports = [server.port for server in self.servers]

    def end(self, place: int, kind: str) -> None:
        """Kill a server, or drain it, and return when it has ended."""
        process = self.servers[place].process
        if kind == "killed":
            process.kill()
            process.wait()
        else:
            self.servers[place].terminate()

    def begin(self, place: int) -> None:
        """Start it again at its port, and return when it answers."""
        again = running(self._recipe, place, self.ports[place])
        self.servers[place] = self._stack.enter_context(again)


@contextmanager
def two_servers(recipe: Recipe) -> Iterator[Places]:
    """Two servers that answer."""
    with ExitStack() as stack:
        yield Places(recipe, stack)


async def under_load(
    port: int, asks: Sequence[Ask], clients: int, places: Places, place: int, kind: str
) -> list[Outcome]:
    """What became of all requests, while a server was ended and started again."""
    load = Load(port, asks)

    async def change() -> None:
        await asyncio.sleep(SETTLE_S)
        await asyncio.to_thread(places.end, place, kind)
        await asyncio.sleep(SETTLE_S)
        await asyncio.to_thread(places.begin, place)
        await asyncio.sleep(SETTLE_S)
        load.stop()

    changing = asyncio.ensure_future(change())
    outcomes = await load.loops(clients)
    await changing
    return outcomes


@contextmanager
def nginx(config: Path, ports: Sequence[int]) -> Iterator[int]:
    """nginx in front of servers at these ports, by a config; its port."""
    program = shutil.which("nginx")
    if program is None:
        raise SystemExit("there is no nginx. Install it.")
    with socket.create_server(("127.0.0.1", 0)) as free:
        front = free.getsockname()[1]
    text = config.read_text("utf-8").replace("listen 80;", f"listen 127.0.0.1:{front};")
    servers = [line for line in text.splitlines() if "server 127.0.0.1:" in line]
    for number, line in enumerate(servers):
        own = "\n".join(line.replace(":8000", f":{port}") for port in ports) if not number else ""
        text = text.replace(line, own, 1)
    with tempfile.TemporaryDirectory() as folder:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        whole = Path(folder, "nginx.conf")
        whole.write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log /dev/null; "
            f"events {{}} http {{ access_log off; {paths} {text} }}",
            "utf-8",
        )
        with subprocess.Popen([program, "-c", str(whole)]) as process:
            try:
                await_port(front)
                yield front
            finally:
                process.terminate()


def await_port(port: int) -> None:
    """Return when something listens at `port`."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)


if __name__ == "__main__":
    raise SystemExit(main())
