"""dragoman-serve: a real process on a real socket, and what it says to mistakes."""

import dataclasses
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import torch
import yaml

from model.translator import Translator
from service.serve import DRAIN_S, command_line, main
from service.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["der Hund läuft.", "", "ein Mann sieht die Frau auf der Straße! das Haus ist rot." * 2]


class Server(NamedTuple):
    process: subprocess.Popen[str]
    url: str


@contextmanager
def serve(run: Path) -> Iterator[Server]:
    """A server in a process of its own, on a free port of the loopback interface."""
    threads = str(torch.get_num_threads())
    flags = ["--port", "0", "--device", "cpu", "--precision", "fp32", "--threads", threads]
    command = [sys.executable, "-m", "service.serve", str(run), *flags]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        try:
            lines = [process.stderr.readline() for _ in range(2)]
            name, _, url = lines[1].strip().partition(": ")
            assert name == "dragoman-serve", lines
            yield Server(process, url)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def server(tiny_checkpoint: Path) -> Iterator[Server]:
    with serve(tiny_checkpoint) as server:
        yield server


def test_a_process_answers_what_the_translator_finds(server: Server, tiny_checkpoint: Path) -> None:
    translator = Translator.load(tiny_checkpoint, device="cpu", precision="fp32")
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert client.get("/livez").json() == {"status": "ok"}
        translations = client.post("/v1/translate", json={"text": TEXTS}).json()["translations"]
    for ours, theirs in zip(translations, translator.search(TEXTS), strict=True):
        best = theirs.hypotheses[0]
        assert (ours["translation"], ours["score"], ours["log_prob"]) == (
            best.translation,
            best.score,
            best.log_prob,
        )


def test_a_process_survives_a_body_over_the_limit(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        response = client.post("/v1/translate", json={"text": ["a" * 700_000] * 7})
        assert (response.status_code, response.json()["error"]["type"]) == (413, "body_too_large")
        assert client.get("/livez").status_code == 200


def test_a_body_that_is_announced_too_long_is_not_waited_for(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    head = "POST /v1/translate HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000000\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_hangs_up_does_no_harm(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    body = b'{"text": "der Hund"}'
    head = f"POST /v1/translate HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    for part in (b"", body[:5], body):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + part)
    assert httpx.get(f"{server.url}/livez").status_code == 200


def test_sigterm_ends_it_after_the_requests_in_flight(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = {"min_length": 50, "max_length_a": 0, "max_length_b": 50, "beam_size": 64}
    statuses: list[int] = []

    def ask(url: str) -> None:
        body = {"text": [f"der Hund {i}" for i in range(6)], "options": slow}
        status = 429
        while status == 429:  # one of the requests below was there first
            status = httpx.post(f"{url}/v1/translate", json=body, timeout=60).status_code
        statuses.append(status)

    monkeypatch.setenv("DRAGOMAN_MAX_REQUESTS", "1")
    with serve(tiny_checkpoint) as server:
        client = threading.Thread(target=ask, args=[server.url], daemon=True)
        client.start()
        quick = 200
        while quick != 429 and not statuses:  # a refusal shows that the slow request is in
            quick = httpx.post(f"{server.url}/v1/translate", json={"text": ""}).status_code
        assert not statuses
        server.process.send_signal(signal.SIGTERM)
        client.join(timeout=60)
        assert server.process.wait(timeout=60) == 0
        assert statuses == [200]
        assert server.process.stderr
        assert "Traceback" not in server.process.stderr.read()


def test_compose_starts_it_with_flags_that_it_knows() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    service = compose["services"]["dragoman"]
    arguments = command_line(Settings()).parse_args(service["command"][1:])
    assert (arguments.run, arguments.host) == (Path("/models/run"), "0.0.0.0")
    assert service["ports"] == [f"127.0.0.1:8000:{arguments.port}"]
    names = {f"{PREFIX}{field.name.upper()}" for field in dataclasses.fields(Settings)}
    assert service["environment"].keys() <= names
    assert int(service["stop_grace_period"].removesuffix("s")) > DRAIN_S


# Mistakes


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The message of a command that must have failed before it served."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    message = captured.err.splitlines()[-1]
    assert "Traceback" not in captured.err
    assert message.startswith("dragoman-serve: error: ")
    return message.removeprefix("dragoman-serve: error: ")


def test_a_missing_run_is_a_mistake(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert str(tmp_path / "none") in mistake(capsys, tmp_path / "none", "--port", "0")


def test_a_port_in_use_is_a_mistake(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        message = mistake(capsys, tiny_checkpoint, "--port", port)
    assert message == (f"--host 127.0.0.1 --port {port}: Address already in use. Choose another.")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--port", "65536"], "port: 65536 is out of range."),
        (["--port", "http"], "argument --port: invalid int value: 'http'."),
        (["--host", "203.0.113.1", "--port", "0"], "--host 203.0.113.1 --port 0: "),
        (["--port", "0", "--device", "abacus"], "device: 'abacus' is not known."),
        (["--workers", "4"], "unrecognized arguments: --workers 4."),
    ],
)
def test_a_wrong_flag_is_a_mistake(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, flags: list[str], message: str
) -> None:
    assert mistake(capsys, tiny_checkpoint, *flags).startswith(message)


def test_flags_win_over_the_environment(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAGOMAN_PORT", "0")
    monkeypatch.setenv("DRAGOMAN_DEVICE", "abacus")
    assert "'abacus'" in mistake(capsys, tiny_checkpoint)
    assert "'tortoise'" in mistake(capsys, tiny_checkpoint, "--device", "tortoise")
    monkeypatch.setenv("DRAGOMAN_PORT", "many")
    assert "DRAGOMAN_PORT: 'many'" in mistake(capsys, tiny_checkpoint)


def test_help_names_the_paths_and_the_variables(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        main(["--help"])
    assert status.value.code == 0
    text = capsys.readouterr().out
    for word in ("/livez", "/v1/translate", "--port", "DRAGOMAN_HOST", "127.0.0.1", "8000"):
        assert word in text
