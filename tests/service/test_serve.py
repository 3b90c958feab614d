"""dragoman-serve: a real process on a real socket, and what it says to mistakes."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from model.translator import Translator
from service.serve import main
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["der Hund läuft.", "", "ein Mann sieht die Frau auf der Straße! das Haus ist rot." * 2]


class Server(Protocol):
    process: "subprocess.Popen[str]"
    url: str


Serve = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="module")
def server(tiny_checkpoint: Path, serve: Serve) -> Iterator[Server]:
    with serve(tiny_checkpoint) as server:
        yield server


def test_a_process_answers_what_the_translator_finds(server: Server, tiny_checkpoint: Path) -> None:
    translator = Translator.load(tiny_checkpoint, device="cpu", precision="fp32")
    with httpx.Client(base_url=server.url, timeout=PATIENCE_S) as client:
        assert client.get("/livez").json() == {"status": "ok"}
        answer = client.post("/v1/translate", json={"text": TEXTS, "return": ["scores"]})
        translations = answer.json()["translations"]
    for ours, theirs in zip(translations, translator.search(TEXTS), strict=True):
        best = theirs.hypotheses[0]
        assert (ours["translation"], ours["score"], ours["log_prob"]) == (
            best.translation,
            best.score,
            best.log_prob,
        )


def test_a_run_of_a_summarizer_needs_no_models_file(
    serve: Serve, make_run: Callable[..., Path]
) -> None:
    run = make_run("news", task="summarize", source_language="de", target_language="de")
    with serve(run) as server, httpx.Client(base_url=server.url, timeout=PATIENCE_S) as client:
        (model,) = client.get("/v1/models").json()["models"]
        assert (model["name"], model["task"], model["source"]) == ("news", "summarize", "de")
        text = "der Hund läuft.\ndie Frau schläft."
        answer = client.post("/v1/summarize", json={"text": text, "source": "German"}).json()
        (theirs,) = Translator.load(run, device="cpu", precision="fp32").search([text])
        best = theirs.hypotheses[0]
        expected = {"summary": best.translation, "truncated": best.truncated}
        assert answer["summaries"] == [expected]
        refused = client.post("/v1/translate", json={"text": text})
        assert (refused.status_code, refused.json()["error"]["type"]) == (404, "model_not_found")


def test_a_process_survives_a_body_over_the_limit(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=PATIENCE_S) as client:
        response = client.post("/v1/translate", json={"text": ["a" * 700_000] * 7})
        assert (response.status_code, response.json()["error"]["type"]) == (413, "body_too_large")
        assert client.get("/livez").status_code == 200


def test_a_body_that_is_announced_too_long_is_not_waited_for(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    head = "POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000000\r\n"
    head += "Content-Type: application/json\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_hangs_up_does_no_harm(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    body = b'{"text": "der Hund"}'
    head = f"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    for part in (b"", body[:5], body):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + part)
    assert httpx.get(f"{server.url}/livez").status_code == 200


# The names of the server


def answers_as(url: str, *hosts: str) -> dict[str, tuple[int, str]]:
    """The status for each `Host`, and the type of the error."""
    found = {}
    for host in hosts:
        answer = httpx.get(f"{url}/v1/models", headers={"Host": host}, timeout=PATIENCE_S)
        found[host] = (answer.status_code, answer.json().get("error", {}).get("type", ""))
    return found


OURS = ["localhost", "127.0.0.1:1", "[::1]:8000", "LocalHost.:80"]
THEIRS = ["attacker.example", "attacker.example:8000", "localhost.attacker.example", "x@localhost"]
THEIRS += [
    "10.0.0.7",
    "127.0.0.1.attacker.example",
    "",
    "localhost:x",
    "[::1",
    "localhost localhost",
]
YES, NO = (200, ""), (421, "wrong_host")


def test_a_page_that_gives_its_name_our_address_is_refused(server: Server) -> None:
    """Without keys and on a loopback address, every name but ours may be one of DNS rebinding."""
    expected = dict.fromkeys(OURS, YES) | dict.fromkeys(THEIRS, NO)
    assert answers_as(server.url, *OURS, *THEIRS) == expected
    host, port = server.url.removeprefix("http://").split(":")
    for hosts in ("", "Host: localhost\r\nHost: attacker.example\r\n"):
        with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
            connection.sendall(f"GET /livez HTTP/1.0\r\n{hosts}\r\n".encode())
            assert connection.recv(1000).split()[1] in (b"421", b"400")


def test_names_that_the_operator_allows_are_answered(tiny_checkpoint: Path, serve: Serve) -> None:
    with serve(tiny_checkpoint, DRAGOMAN_ALLOWED_HOSTS="mt.example, fd00::7") as server:
        ours = [*OURS, "mt.example", "MT.example:443", "[fd00::7]:80"]
        expected = dict.fromkeys(ours, YES) | dict.fromkeys(THEIRS, NO)
        assert answers_as(server.url, *ours, *THEIRS) == expected


@pytest.mark.parametrize(
    ("address", "variables"),
    [
        ("0.0.0.0", {}),
        ("127.0.0.1", {"DRAGOMAN_API_KEYS": "a: secret"}),
        ("127.0.0.1", {"DRAGOMAN_ALLOWED_HOSTS": "*"}),
    ],
)
def test_elsewhere_and_with_keys_any_name_will_do(
    tiny_checkpoint: Path, serve: Serve, address: str, variables: dict[str, str]
) -> None:
    with serve(tiny_checkpoint, "--host", address, **variables) as server:
        port = server.url.rsplit(":", 1)[1]
        for host in ("attacker.example", "localhost"):
            answer = httpx.get(f"http://127.0.0.1:{port}/livez", headers={"Host": host})
            assert answer.status_code == 200


# Mistakes


def mistake(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The message of a command that must have failed before it served."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capfd.readouterr()
    message = captured.err.splitlines()[-1]
    assert "Traceback" not in captured.err
    assert message.startswith("dragoman-serve: error: ")
    return message.removeprefix("dragoman-serve: error: ")


def test_a_missing_run_is_a_mistake(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert str(tmp_path / "none") in mistake(capfd, tmp_path / "none", "--port", "0")


def test_a_port_in_use_is_a_mistake(
    capfd: pytest.CaptureFixture[str], tiny_checkpoint: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        message = mistake(capfd, tiny_checkpoint, "--port", port)
    assert message == (f"--host 127.0.0.1 --port {port}: Address already in use. Choose another.")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--port", "65536"], "--port: 65536: Input should be less than or equal to 65535."),
        (["--port", "http"], "argument --port: invalid int value: 'http'."),
        (["--host", "203.0.113.1", "--port", "0"], "--host 203.0.113.1 --port 0: "),
        (["--port", "0", "--device", "abacus"], "device: 'abacus' is not known."),
        (["--workers", "4"], "unrecognized arguments: --workers 4."),
    ],
)
def test_a_wrong_flag_is_a_mistake(
    capfd: pytest.CaptureFixture[str], tiny_checkpoint: Path, flags: list[str], message: str
) -> None:
    assert mistake(capfd, tiny_checkpoint, *flags).startswith(message)


def test_flags_win_over_the_environment(
    capfd: pytest.CaptureFixture[str], tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAGOMAN_PORT", "0")
    monkeypatch.setenv("DRAGOMAN_DEVICE", "abacus")
    assert "'abacus'" in mistake(capfd, tiny_checkpoint)
    assert "'tortoise'" in mistake(capfd, tiny_checkpoint, "--device", "tortoise")
    monkeypatch.setenv("DRAGOMAN_PORT", "many")
    assert "DRAGOMAN_PORT: 'many'" in mistake(capfd, tiny_checkpoint)


def test_no_run_is_a_mistake(capfd: pytest.CaptureFixture[str], tiny_checkpoint: Path) -> None:
    assert mistake(capfd).startswith("no model: neither RUN nor --models FILE")
    both = mistake(capfd, tiny_checkpoint, "--models", "models.yaml")
    assert both.startswith("RUN and --models models.yaml: both.")


def test_two_runs_of_one_name_are_a_mistake(
    capfd: pytest.CaptureFixture[str], tiny_checkpoint: Path
) -> None:
    message = mistake(capfd, tiny_checkpoint, tiny_checkpoint / "best")
    assert message.startswith("two models have the name 'run'")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{name: a, pth: run}", "models[0].pth: unknown key. Did you mean 'path'?"),
        ("{name: a, path: run, options: {beam_sise: 2}}", "Did you mean 'beam_size'?"),
        ("{name: a, path: run, options: {n_best: 3}}", "n_best: 3 is not in 1 to beam_size 2."),
        ("{name: a, path: none}", "none: does not exist."),
        ("{name: a, path: run, shortlist: true}", "shortlist: "),
    ],
)
def test_a_wrong_models_file_is_a_mistake(
    capfd: pytest.CaptureFixture[str],
    tiny_checkpoint: Path,
    tmp_path: Path,
    model: str,
    message: str,
) -> None:
    (tmp_path / "run").symlink_to(tiny_checkpoint)
    (tmp_path / "models.yaml").write_text(f"models: [{model}]")
    file = tmp_path / "models.yaml"
    flags = ["--port", "0", "--device", "cpu", "--precision", "fp32"]
    assert message in mistake(capfd, "--models", file, *flags)


def test_keys_that_cannot_be_read_are_a_mistake(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAGOMAN_API_KEYS_FILE", str(tmp_path / "keys"))
    message = mistake(capfd, tmp_path / "run", "--port", "0")
    assert message.startswith(f"api_keys_file: {tmp_path / 'keys'} cannot be read: No such file")


def test_help_names_the_paths_and_the_variables(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        main(["--help"])
    assert status.value.code == 0
    text = capfd.readouterr().out
    for word in ("/livez", "/v1/translate", "--port", "DRAGOMAN_HOST", "127.0.0.1", "8000"):
        assert word in text
