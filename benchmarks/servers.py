"""Servers as processes: started on a core, awaited until they answer a real request, and ended."""

import http.client
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.dialects import Dialect, Dragoman, OpenNMT, Plain

START_S = 180.0
END_S = 60.0
PROBE = "A man is sleeping."
ROOT = Path(__file__).parents[1]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class ServerError(Exception):
    """A server did not start, or did not end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a server is started, and how it is spoken to."""

    name: str
    command: tuple[str, ...]
    """With {port} where its port stands and {core} where the number of its core does."""
    dialect: Dialect
    environment: Mapping[str, str]
    folder: Path = ROOT
    """Where it is started."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """One that answers."""

    name: str
    port: int
    dialect: Dialect
    process: subprocess.Popen[bytes]

    def terminate(self) -> int:
        """SIGTERM, and the exit status.

        Raises:
            ServerError: it did not end.
        """
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(END_S)
        except subprocess.TimeoutExpired as error:
            raise ServerError(f"{self.name} goes on {END_S:.0f} s after SIGTERM") from error

    def resident_kib(self) -> int:
        """Resident memory of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0])


def dragoman(
    run: Path,
    *,
    flags: str,
    beam_size: int,
    key: str = "",
    environment: Mapping[str, str] | None = None,
) -> Recipe:
    """Ours, with the flags of a user."""
    command = (sys.executable, "-m", "service.serve", str(run), "--port", "{port}")
    return Recipe(
        name="dragoman",
        command=("taskset", "-c", "{core}", *command, *shlex.split(flags)),
        dialect=Dragoman(beam_size, key=key),
        environment=ONE_THREAD | dict(environment or {}),
    )


def opennmt(peers: Path, workdir: Path, *, beam_size: int) -> Recipe:
    """OpenNMT-py's server, by the script that comes with its model; the script reads CORE."""
    script = str(peers / "opennmt" / "serve.sh")
    return Recipe(
        name="OpenNMT-py",
        command=("env", "CORE={core}", script, str(workdir), "{port}", str(beam_size)),
        dialect=OpenNMT(),
        environment=ONE_THREAD,
    )


def ctranslate2(peers: Path, python: Path, *, mode: str, beam_size: int) -> Recipe:
    """The baseline of peer_ctranslate2_server.py, in one of its modes."""
    script = str(Path(__file__).with_name("peer_ctranslate2_server.py"))
    model = str(peers / "ctranslate2-transformer-int8")
    tokenizer = str(peers / "multi30k-bpe8000.model")
    flags = ("--port", "{port}", "--mode", mode, "--beam-size", str(beam_size))
    return Recipe(
        name=f"CTranslate2, {mode}",
        command=("taskset", "-c", "{core}", str(python), script, model, tokenizer, *flags),
        dialect=Plain(),
        environment=ONE_THREAD,
    )


@contextmanager
def running(recipe: Recipe, core: int, port: int = 0) -> Iterator[Server]:
    """The server, which is ended with the block.

    Args:
        port: where it listens; 0 for any that is free.

    Raises:
        ServerError: it does not answer; the message has the end of its output.
    """
    with socket.create_server(("127.0.0.1", port)) as free:
        port = free.getsockname()[1]
    command = [part.format(port=port, core=core) for part in recipe.command]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | recipe.environment,
            cwd=recipe.folder,
        )
        server = Server(name=recipe.name, port=port, dialect=recipe.dialect, process=process)
        try:
            if not _answers(server):
                output.seek(0)
                said = output.read().decode(errors="replace")[-2000:]
                raise ServerError(f"{recipe.name} did not answer; it said:\n{said}")
            yield server
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(END_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _answers(server: Server) -> bool:
    """Wait until it answers a request with a translation, which also warms it up.

    Returns:
        False: it has ended, it refuses the request, or the time is over.
    """
    message = server.dialect.ask([PROBE])
    end = time.monotonic() + START_S
    while server.process.poll() is None and time.monotonic() < end:
        try:
            status, body = _post(server.port, message.head + message.body)
            if status == 200 and server.dialect.answers(body):
                return True
            if 400 <= status < 500 and status != 429:  # it will say the same for ever
                return False
        except (OSError, http.client.HTTPException, ValueError):
            pass
        time.sleep(0.1)
    return False


def _post(port: int, request: bytes) -> tuple[int, bytes]:
    with socket.create_connection(("127.0.0.1", port), timeout=START_S) as connection:
        connection.sendall(request)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.read()


def pair_of_cores(cores: Sequence[int]) -> tuple[int, int]:
    """The core of the server and that of the generator; one and the same if there is one only."""
    ordered = sorted(cores)
    return ordered[0], ordered[min(1, len(ordered) - 1)]
