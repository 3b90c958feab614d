"""The ceiling of the load generator: what it reaches against a server that answers at once."""

import asyncio
import sys
import time

from benchmarks.dialects import Plain
from benchmarks.figures import HEAD
from benchmarks.load import Ask
from benchmarks.rounds import Bench, closed
from benchmarks.servers import Recipe, running

CLIENTS = 64
ANSWER = b'{"translations": ["Ein Mann schl\\u00e4ft."]}'
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)


class AtOnce(asyncio.Protocol):
    """Answers whatever comes in one packet, always with the same."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(RESPONSE)


async def serve(port: int) -> None:
    """Until the process is ended."""
    server = await asyncio.get_running_loop().create_server(AtOnce, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


def ceiling(bench: Bench) -> bool:
    """64 clients in closed loops; what one request costs the generator's core."""
    bench.on_two_cores()
    command = (sys.executable, "-m", "benchmarks.ceiling", "{port}")
    recipe = Recipe(
        name="at once",
        command=("taskset", "-c", "{core}", *command),
        dialect=Plain(),
        environment={},
    )
    with running(recipe, bench.server_core) as server:
        asks = [Ask(server.dialect.ask(["A man is sleeping."]), sentences=1, body=ANSWER)]
        print(HEAD)
        started = time.process_time()
        row = closed(server, asks, CLIENTS, bench.seconds)
        cost = (time.process_time() - started) / row.right
        print(row.row(f"{server.name}, {CLIENTS} clients"))
        print(f"{1e6 * cost:.0f} microseconds of the generator's processor for each request")
    return True


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
