"""Stderr writer: a stuck, closed or full standard error neither delays nor ends anything."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.observability.stderr_writer import BATCH_BYTES, QUEUE_BYTES, StderrWriter
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[3]
DROPPED = "dragoman_log_lines_dropped"


class Losses:
    """Adds up the lines that a writer says it has dropped."""

    def __init__(self, writer: StderrWriter) -> None:
        self.lines = 0
        writer.count_dropped(self._add)

    def _add(self, lines: int) -> None:
        self.lines += lines


def read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read()


def test_everything_arrives_in_order_and_in_lines() -> None:
    reader, to_it = os.pipe()
    arrived: list[bytes] = []
    thread = threading.Thread(target=lambda: arrived.append(read_all(reader)))
    thread.start()
    writer = StderrWriter(to_it)
    for i in range(20_000):
        print(i, "ä", "\ud800", file=writer)
        if i % 100 == 0:  # slower than the queue is long
            assert writer.drain(PATIENCE_S)
    print("x" * 3 * BATCH_BYTES, file=writer)
    writer.write("without an end")
    writer.end()
    os.close(to_it)
    thread.join()
    expected = [*(f"{i} ä \\ud800" for i in range(20_000)), "x" * 3 * BATCH_BYTES, "without an end"]
    assert b"".join(arrived).decode().splitlines() == expected


def test_a_pipe_that_nobody_reads_takes_what_fits_and_the_rest_is_counted() -> None:
    reader, to_it = os.pipe()
    writer = StderrWriter(to_it)
    losses = Losses(writer)
    line, total = "x" * 99, 50_000
    for _ in range(total):
        print(line, file=writer)
    assert not writer.drain(0.1)
    kept = total - losses.lines
    assert QUEUE_BYTES // 100 <= kept < (QUEUE_BYTES + 2**20) // 100 < total
    arrived: list[bytes] = []
    thread = threading.Thread(target=lambda: arrived.append(read_all(reader)))
    thread.start()
    assert writer.drain(PATIENCE_S)  # whoever reads late gets what was kept
    print("again", file=writer)
    writer.end()
    os.close(to_it)
    thread.join()
    assert b"".join(arrived).decode().splitlines() == [line] * kept + ["again"]


def test_an_error_is_not_waited_for_twice_while_nobody_reads() -> None:
    reader, to_it = os.pipe()
    writer = StderrWriter(to_it)
    print("x" * 200_000, file=writer)
    writer.drain_error()
    for _ in range(100_000):  # for a tenth of a second each that would take hours
        writer.drain_error()
    os.close(reader)
    assert writer.drain(PATIENCE_S)
    os.close(to_it)


def test_lines_that_a_full_disk_or_a_gone_reader_refuses_are_counted() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    reader, gone = os.pipe()
    os.close(reader)
    for descriptor in (full, gone):
        writer = StderrWriter(descriptor)
        print("one\ntwo", file=writer)
        writer.end()
        losses = Losses(writer)
        assert losses.lines == 2
        print("three", file=writer)
        writer.end()
        assert losses.lines == 3
        os.close(descriptor)


def test_a_pipe_that_must_not_block_is_waited_for() -> None:
    """Its flag belongs to all who share it: another process may have set it."""
    reader, to_it = os.pipe()
    os.set_blocking(to_it, False)
    writer = StderrWriter(to_it)
    for _ in range(1000):
        print("x" * 999, file=writer)
    arrived: list[bytes] = []
    thread = threading.Thread(target=lambda: arrived.append(read_all(reader)))
    thread.start()
    writer.end()
    os.close(to_it)
    thread.join()
    assert len(arrived[0]) == 1_000_000


def process(script: str, **streams: Any) -> "subprocess.Popen[bytes]":
    head = "import logging, os, sys\nfrom service.observability.logs import configure_logging\n"
    head += "from service.observability.stderr_writer import threaded_stderr\n"
    return subprocess.Popen([sys.executable, "-c", head + script], cwd=ROOT, **streams)


WITH = "with threaded_stderr() as stderr:\n    configure_logging(form='text')\n"


@pytest.mark.parametrize(
    ("end", "status", "last"),
    [
        ("raise ValueError('why')", 1, "ValueError: why"),
        ("sys.exit(3)", 3, "dragoman-serve: WARNING: line 999"),
        ("logging.error('last'); os._exit(4)", 4, "dragoman-serve: ERROR: last"),
        ("logging.error('last'); os.abort()", -signal.SIGABRT, "dragoman-serve: ERROR: last"),
        ("stderr.end(); os._exit(5)", 5, "dragoman-serve: WARNING: line 999"),
        ("import warnings; warnings.warn('odd')", 0, "odd"),
    ],
)
def test_the_last_lines_before_an_exit_or_a_crash_are_there(
    end: str, status: int, last: str
) -> None:
    script = f"{WITH}    for i in range(1000): logging.warning('line %d', i)\n    {end}\n"
    with process(script, stderr=subprocess.PIPE) as ended:
        _, error = ended.communicate(timeout=PATIENCE_S)
    lines = error.decode().splitlines()
    assert ended.returncode == status
    assert [line for line in lines if "line " in line and "WARNING: line" in line] == [
        f"dragoman-serve: WARNING: line {i}" for i in range(1000)
    ]
    assert last in " ".join(lines[-2:])


def test_an_exit_does_not_wait_for_a_pipe_that_nobody_reads() -> None:
    script = f"{WITH}    for i in range(100_000): logging.warning('line %d', i)\n"
    script += "print('after', file=sys.stderr)\n"
    with process(script, stderr=subprocess.PIPE) as ended:
        assert ended.wait(timeout=PATIENCE_S) == 0  # it would wait for ever
        ended.kill()


# A whole server


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def serving(
    run: Path, *shell: str, stderr: int | IO[bytes] | None
) -> Iterator[tuple["subprocess.Popen[bytes]", httpx.Client]]:
    """A server whose standard error nobody reads, when it is ready."""
    port = free_port()
    flags = ["--port", str(port), "--device", "cpu", "--precision", "fp32", "--threads", "1"]
    command = [*shell, sys.executable, "-m", "service.serve", str(run), *flags]
    with (
        subprocess.Popen(command, stderr=stderr, cwd=ROOT) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client,
    ):
        try:
            while True:
                assert server.poll() is None
                try:
                    if client.get("/readyz").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.05)
            yield server, client
        finally:
            server.kill()


def dropped(client: httpx.Client) -> float:
    families = text_string_to_metric_families(client.get("/metrics").text)
    (family,) = [each for each in families if each.name == DROPPED]
    return family.samples[0].value


def test_a_server_whose_log_is_stuck_from_the_start_serves_and_exits(
    tiny_checkpoint: Path,
) -> None:
    reader, to_it = os.pipe()
    os.set_blocking(to_it, False)
    while True:
        try:
            os.write(to_it, b"\n")
        except BlockingIOError:
            break
    os.set_blocking(to_it, True)
    with serving(tiny_checkpoint, stderr=to_it) as (server, client):
        for _ in range(10):
            assert client.post("/v1/translate", json={"text": "der Hund"}).status_code == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=PATIENCE_S) == 0
    os.close(reader)
    os.close(to_it)


@pytest.mark.slow
def test_a_server_whose_log_nobody_reads_serves_counts_and_exits(tiny_checkpoint: Path) -> None:
    """The pipe is full after less than two hundred lines, the queue after three thousand more."""
    with serving(tiny_checkpoint, stderr=subprocess.PIPE) as (server, client):
        sent = 0
        while not dropped(client):
            for _ in range(500):
                assert client.get("/nothing").status_code == 404
            sent += 500
            assert sent < 20_000
        assert client.post("/v1/translate", json={"text": "der Hund"}).status_code == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=PATIENCE_S) == 0


def test_a_server_with_a_full_disk_under_its_log_serves_and_counts(tiny_checkpoint: Path) -> None:
    with (
        open("/dev/full", "wb") as full,
        serving(tiny_checkpoint, stderr=full) as (server, client),
    ):
        before = dropped(client)
        for _ in range(10):
            assert client.post("/v1/translate", json={"text": "der Hund"}).status_code == 200
        while dropped(client) < before + 10:
            time.sleep(0.01)
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=PATIENCE_S) == 0


def test_a_server_without_standard_error_serves(tiny_checkpoint: Path) -> None:
    """And no socket of it gets the number of standard error, into which the log goes."""
    shell = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh"]
    with serving(tiny_checkpoint, *shell, stderr=None) as (server, client):
        for _ in range(10):
            assert client.post("/v1/translate", json={"text": "der Hund"}).status_code == 200
        for descriptor in range(3):
            assert os.readlink(f"/proc/{server.pid}/fd/{descriptor}") == "/dev/null"
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=PATIENCE_S) == 0
