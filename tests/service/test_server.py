"""Server: what signals do to a real process under the load of real clients."""

import gc
import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from model.checkpoint.checkpoint import load_checkpoint
from service.app import create_app
from service.engine.background_priority import BACKGROUND_NICENESS
from service.server import Server as InProcess
from service.settings import Settings
from tests.patience import PATIENCE_S
from tests.service.conftest import MakeRegistry

QUICK = {"beam_size": 1, "max_length_a": 0, "max_length_b": 4}
LONG = {"beam_size": 16, "min_length": 50, "max_length_a": 0, "max_length_b": 50}
CLIENTS = 8


class Server(Protocol):
    process: "subprocess.Popen[str]"
    url: str
    lines: list[str]

    def await_line(self, part: str) -> str: ...
    def await_exit(self) -> int: ...


Serve = Callable[..., AbstractContextManager[Server]]


class Long:
    """A request that takes seconds, which the server has accepted when this is made."""

    def __init__(self, url: str, texts: int) -> None:
        self._connection = http.client.HTTPConnection(
            url.removeprefix("http://"), timeout=PATIENCE_S
        )
        body = {"text": [f"der Hund läuft {i}" for i in range(texts)], "options": LONG}
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/v1/translate", json.dumps(body), headers)
        # All of it is sent. These come later, and when they are answered it has been let in.
        for _ in range(2):
            quick = {"text": "der Hund", "options": QUICK}
            assert (
                httpx.post(f"{url}/v1/translate", json=quick, timeout=PATIENCE_S).status_code == 200
            )
        assert not self.over

    @property
    def over(self) -> bool:
        """Whether there is an answer, or the connection has ended."""
        return bool(select.select([self._connection.sock], [], [], 0)[0])

    def outcome(self) -> str:
        """The status of the answer, or how it broke off."""
        try:
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except (http.client.HTTPException, OSError) as error:
            return type(error).__name__
        assert ("translations" in answer) == (response.status == 200)
        return str(response.status)

    def close(self) -> None:
        """Leave, answered or not."""
        self._connection.close()


class Load:
    """Clients that ask one request after the other, each over the connection that it has."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.outcomes: list[tuple[float, str]] = []
        """When each request began, and its status or how it broke off."""
        self._threads = [threading.Thread(target=self._client, args=[n]) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def answered(self, count: int) -> None:
        """Return when `count` more requests have been answered."""
        enough = len(self.outcomes) + count
        while len(self.outcomes) < enough:
            time.sleep(0.001)

    def join(self) -> None:
        """Return when the server no longer takes connections."""
        for thread in self._threads:
            thread.join(timeout=PATIENCE_S)
            assert not thread.is_alive()

    def _client(self, number: int) -> None:
        body = {"text": [f"der Hund {number}", "die Frau läuft."], "options": QUICK}
        with httpx.Client(base_url=self._url, timeout=PATIENCE_S) as client:
            while True:
                began, refused = time.monotonic(), False
                try:
                    response = client.post("/v1/translate", json=body)
                    complete = response.status_code != 200 or len(response.json()["translations"])
                    outcome = f"{response.status_code}" if complete else "incomplete"
                except httpx.ConnectError:
                    outcome, refused = "no connection", True
                except httpx.TransportError as error:
                    outcome = type(error).__name__
                self.outcomes.append((began, outcome))
                if refused:
                    return


def term_under_load(serve: Serve, run: Path) -> Counter[str]:
    """What clients get of a server that is told to exit while they ask.

    The requests that had begun by then have all an answer, and none of the later ones a wrong one.
    """
    with serve(run) as server:
        load = Load(server.url)
        load.answered(CLIENTS)
        with closing(Long(server.url, texts=8)) as long:
            signalled = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert long.outcome() == "200"
            load.join()
            assert server.await_exit() == 0
            assert not any("Traceback" in line for line in server.lines), server.lines
            before = Counter(outcome for began, outcome in load.outcomes if began < signalled)
            # One under way when the signal came has its answer, if only that it is too late.
            assert before.keys() <= {"200", "503"}, before
            assert before["503"] <= CLIENTS
            return Counter(outcome for began, outcome in load.outcomes if began >= signalled)


def test_sigterm_under_load_loses_no_request(serve: Serve, tiny_checkpoint: Path) -> None:
    after = term_under_load(serve, tiny_checkpoint)
    assert after["503"] > 0  # the sockets stayed open while the long request ran
    assert after["no connection"] == CLIENTS


@pytest.mark.slow
def test_sigterm_under_load_loses_no_request_in_twenty(serve: Serve, tiny_checkpoint: Path) -> None:
    for _ in range(20):
        term_under_load(serve, tiny_checkpoint)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once(
    serve: Serve, tiny_checkpoint: Path, number: signal.Signals
) -> None:
    with serve(tiny_checkpoint) as server:
        server.process.send_signal(number)
        assert server.await_exit() == 0


def test_while_it_drains_it_is_not_ready(serve: Serve, tiny_checkpoint: Path) -> None:
    with serve(tiny_checkpoint) as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/readyz").status_code == 200
        with closing(Long(server.url, texts=200)) as long:
            server.process.send_signal(signal.SIGTERM)
            server.await_line("told to exit")
            assert client.get("/readyz").status_code == 503
            assert client.get("/livez").status_code == 200
            late = httpx.post(f"{server.url}/v1/translate", json={"text": "der Hund"})
            assert (late.status_code, late.json()["error"]["type"]) == (503, "shutting_down")
            assert late.headers["connection"] == "close"
            assert not long.over


def test_requests_longer_than_the_drain_fail_with_an_error(
    serve: Serve, tiny_checkpoint: Path
) -> None:
    with (
        serve(tiny_checkpoint, DRAGOMAN_DRAIN_S="0.2") as server,
        closing(Long(server.url, texts=200)) as long,
    ):
        server.process.send_signal(signal.SIGTERM)
        assert server.await_exit() == 0
        assert long.outcome() == "503"
        assert any("longer than 0.2 s and fail: 1" in line for line in server.lines)
        assert not any("Traceback" in line for line in server.lines), server.lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(
    serve: Serve, tiny_checkpoint: Path, number: signal.Signals
) -> None:
    with serve(tiny_checkpoint) as server, closing(Long(server.url, texts=200)) as long:
        server.process.send_signal(signal.SIGTERM)
        server.await_line("told to exit")
        assert not long.over
        server.process.send_signal(number)
        assert server.process.wait(timeout=PATIENCE_S) == 128 + number
        assert long.outcome() in ("RemoteDisconnected", "ConnectionResetError")


# SIGHUP


def digest(client: httpx.Client, model: str = "a") -> str:
    """The identity of the checkpoint that answers for a model."""
    body = {"text": "der Hund", "model": model, "options": QUICK}
    response = client.post("/v1/translate", json=body, timeout=PATIENCE_S)
    assert response.status_code == 200, response.text
    answer = response.json()
    return str(answer.get("digest", answer["model"]))


def write(file: Path, *models: str) -> None:
    """Replace the models file in one step, so that nobody reads half of it."""
    temporary = file.with_suffix(".tmp")
    temporary.write_text("models:\n" + "".join(f"  - {model}\n" for model in models))
    temporary.replace(file)


@pytest.fixture
def file(tmp_path: Path, tiny_checkpoint: Path) -> Path:
    shutil.copytree(tiny_checkpoint, tmp_path / "run", symlinks=True)
    write(tmp_path / "models.yaml", "{name: a, path: run}")
    return tmp_path / "models.yaml"


def test_sighup_reloads_under_load_and_drops_nothing(serve: Serve, file: Path) -> None:
    with serve("--models", file) as server, httpx.Client(base_url=server.url) as client:
        load = Load(server.url)
        load.answered(CLIENTS)
        write(file, "{name: a, path: run}", "{name: b, path: run}")
        for _ in range(3):
            server.process.send_signal(signal.SIGHUP)
            server.await_line("model b is served from")
            load.answered(CLIENTS)
        assert digest(client, "b")
        write(file, "{name: a, path: run}")
        server.process.send_signal(signal.SIGHUP)
        server.await_line("model b is no longer served")
        load.answered(CLIENTS)
        assert Counter(outcome for _, outcome in load.outcomes).keys() == {"200"}
        server.process.send_signal(signal.SIGTERM)
        load.join()
        assert server.await_exit() == 0


def test_a_bad_model_leaves_the_old_one(serve: Serve, file: Path) -> None:
    weights = file.parent / "run" / "best" / "weights.safetensors"
    good = weights.read_bytes()
    with serve("--models", file) as server, httpx.Client(base_url=server.url) as client:
        before = digest(client)
        weights.write_bytes(good[:-1])
        server.process.send_signal(signal.SIGHUP)
        assert "damaged or edited" in server.await_line("model a not reloaded")
        assert digest(client) == before
        file.write_text("models: [{name: a, path: run, optons: {}}]")
        server.process.send_signal(signal.SIGHUP)
        assert "Did you mean 'options'?" in server.await_line("nothing reloaded")
        assert digest(client) == before
        weights.write_bytes(good)
        write(file, "{name: a, path: run}")
        server.process.send_signal(signal.SIGHUP)
        server.await_line("model a is served from")
        assert digest(client) == before
        assert not any("Traceback" in line for line in server.lines), server.lines


def test_sigterm_does_not_wait_for_a_model_that_loads(serve: Serve, file: Path) -> None:
    with serve("--models", file) as server, httpx.Client(base_url=server.url) as client:
        file.unlink()
        os.mkfifo(file)
        server.process.send_signal(signal.SIGHUP)
        with file.open("w"):  # opens when the server opens it, which then waits for what is in it
            assert digest(client)
            server.process.send_signal(signal.SIGTERM)
            assert server.await_exit() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all threads have one priority")
def test_long_texts_are_cut_at_a_lower_priority(serve: Serve, tiny_checkpoint: Path) -> None:
    with serve(tiny_checkpoint) as server:

        def niceness() -> Counter[int]:
            threads = Path(f"/proc/{server.process.pid}/task").glob("*/stat")
            return Counter(int(stat.read_text().rpartition(")")[2].split()[16]) for stat in threads)

        own = os.getpriority(os.PRIO_PROCESS, 0)
        for length, niced in ((1, False), (1_000, True)):
            text = {"text": "der Hund " * length, "options": QUICK}
            answer = httpx.post(f"{server.url}/v1/translate", json=text, timeout=PATIENCE_S)
            assert answer.status_code == 200
            assert set(niceness()) == (
                {own, min(own + BACKGROUND_NICENESS, 19)} if niced else {own}
            )


def test_the_collector_passes_over_what_was_there_at_the_start(
    tiny_checkpoint: Path, make_registry: MakeRegistry
) -> None:
    registry, settings = make_registry(load_checkpoint(tiny_checkpoint)), Settings(drain_s=0.1)
    objects: list[tuple[int, int]] = []

    def ready() -> None:
        objects.append((gc.get_freeze_count(), len(gc.get_objects())))
        server.should_exit = True

    server = InProcess(create_app(registry, settings), registry, settings, ready=ready)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.run(sockets=[listener])
    gc.unfreeze()
    [(frozen, watched)] = objects
    assert frozen > 10 * watched
