"""Every command as a process: closed streams, signals at any moment, files made to break it.

Whatever happens is told in one line or not at all, never in a traceback, and ends in time.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent
CPU = "--device cpu --precision fp32"

COMMANDS = {
    "model.translate": f"run {CPU}",
    "model.score": f"run {CPU} --source a.txt --target b.txt",
    "model.bench": "run --repeats 1 --in-flight 1 --sentences 1 --precision fp32 --device cpu",
    "model.inspect": "run",
    "training.train": "config.yaml --output trained",
    "training.evaluate": f"run {CPU} --source a.txt --reference b.txt --bootstrap 0",
    "training.average": "run/checkpoints/step-000001 run/checkpoints/step-000002 --output mean",
    "training.distill": f"run {CPU} --input a.txt --output o.tsv",
    "training.shortlist": "run --source a.txt --target b.txt",
    "service.serve": f"run {CPU}",
}

CONFIG = """
data:
  train: [{source: a.txt, target: b.txt}]
  dev: {source: a.txt, target: b.txt}
  cache_dir: cache
  source_language: de
  target_language: en
  license: CC0
tokenizer: {model: run/best/tokenizer.model, vocab_size: 320}
model: {embedding_size: 8, encoder_layers: 1, encoder_size: 8, decoder_layers: 1, decoder_size: 8}
run: {max_steps: 2, batch_tokens: 300, eval_every: 2, threads: 1, precision: fp32, device: cpu}
optimizer: {warmup_steps: 1}
search: {beam_size: 1, max_length_a: 1, max_length_b: 3}
shortlist: {candidates: 0}
"""


@pytest.fixture
def here(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with whatever a command reads, and in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DRAGOMAN_DATA", raising=False)
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shutil.copytree(tiny_checkpoint, "run", symlinks=True)
    shutil.copytree("run/checkpoints/step-000001", "run/checkpoints/step-000002")
    rng = random.Random(1)
    for name in ("a.txt", "b.txt"):
        lines = [" ".join(rng.choices(["der", "Hund", "sieht", "Mann"], k=3)) for _ in range(60)]
        Path(name).write_text("".join(f"{line}\n" for line in lines))
    for path in ("config.yaml", "run/config.yaml"):
        Path(path).write_text(CONFIG)
    return tmp_path


def line(command: str, more: str = "") -> list[str]:
    return [sys.executable, "-m", command, *COMMANDS[command].split(), *more.split()]


def run(line: Sequence[str], redirection: str = "") -> tuple[int, str, str]:
    """Status, output and messages of a command that has to end by itself."""
    done = subprocess.run(
        ["bash", "-c", f'exec "$@" {redirection}', "-", *line],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return done.returncode, done.stdout, done.stderr


def check_told(status: int, messages: str) -> None:
    assert "Traceback" not in messages and "Exception ignored" not in messages, messages
    assert status in (0, 2), messages
    if status == 2:
        assert ": error: " in messages.splitlines()[-1]


# closed streams

SERVED = [command for command in COMMANDS if command != "service.serve"]
READS_INPUT = {"model.translate"}
WRITES_OUTPUT = set(SERVED) - {"training.distill"}


@pytest.mark.slow
@pytest.mark.parametrize("command", SERVED)
def test_a_closed_standard_input(command: str, here: Path) -> None:
    status, _, messages = run(line(command), "<&-")
    check_told(status, messages)
    assert status == (2 if command in READS_INPUT else 0), messages


@pytest.mark.slow
@pytest.mark.parametrize("closing", [">&-", ">/dev/full", "1</dev/null"])
@pytest.mark.parametrize("command", SERVED)
def test_a_standard_output_that_takes_nothing(command: str, closing: str, here: Path) -> None:
    status, _, messages = run(line(command), f"{closing} <a.txt")
    check_told(status, messages)
    assert status == (2 if command in WRITES_OUTPUT else 0), messages
    if status == 2:
        assert "standard output: cannot be written" in messages


@pytest.mark.slow
@pytest.mark.parametrize("command", SERVED)
def test_a_closed_standard_error_changes_nothing_else(command: str, here: Path) -> None:
    """Messages go nowhere, above all not to standard output or into a file."""
    status, output, _ = run(line(command), "2>&- <a.txt")
    assert status == 0
    assert f"{'dragoman-'}{command.split('.')[1]}: " not in output


@pytest.mark.slow
@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_server_without_streams(closing: str, here: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    served = line("service.serve", f"--port {port}")
    with subprocess.Popen(
        ["bash", "-c", f'exec "$@" {closing}', "-", *served], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_for_port(process, port)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=PATIENCE_S) == 0
        finally:
            process.kill()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def wait_for_port(process: subprocess.Popen[str], port: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        assert process.poll() is None
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the server does not listen")


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--help", "--version"])
@pytest.mark.parametrize("closing", [">&-", ">/dev/full"])
def test_help_that_cannot_be_written(flag: str, closing: str, here: Path) -> None:
    status, _, messages = run([sys.executable, "-m", "model.inspect", flag], closing)
    assert "Traceback" not in messages and "Exception ignored" not in messages
    assert status == 2


# signals

MOMENTS = 10


def signalled(command: str, number: signal.Signals, moment: int, modules: int) -> tuple[int, str]:
    """The status and messages of a command that gets a signal after some of its imports.

    `-X importtime` tells each import: a moment is a place in the program, not a time.
    """
    arguments = line(command)
    arguments[1:1] = ["-X", "importtime"]
    with subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        messages, seen, sent = [], -1, False  # imports within `start`
        for message in process.stderr:
            if seen >= 0 or message.endswith(".commands\n"):
                seen += 1
            if not message.startswith("import time:"):
                messages.append(message)
            if seen == 1 + (modules - 1) * moment // MOMENTS:
                os.killpg(process.pid, number)
                sent = True
        assert sent
        return process.wait(timeout=PATIENCE_S), "".join(messages)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_at_any_moment(command: str, here: Path) -> None:
    whole = line(command, "--help" if command == "service.serve" else "")
    whole[1:1] = ["-X", "importtime"]
    told = run(whole)[2].splitlines()
    modules = len(told) - next(i for i, text in enumerate(told) if text.endswith(".commands"))
    shutil.rmtree("trained", ignore_errors=True)
    shutil.rmtree("mean", ignore_errors=True)
    Path("o.tsv").unlink(missing_ok=True)
    for moment in range(MOMENTS):
        status, messages = signalled(command, signal.SIGINT, moment, modules)
        assert "Traceback" not in messages, f"moment {moment}: {messages}"
        assert status in (-signal.SIGINT, 130, 0), f"moment {moment}: {messages}"


@pytest.mark.slow
def test_a_hangup_of_a_server_that_starts(here: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = line("service.serve", f"--port {port}")
    arguments[1:1] = ["-X", "importtime"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            seen = 0
            for message in process.stderr:
                seen += seen > 0 or "model.cli.start" in message
                if seen and seen % 100 == 0:
                    process.send_signal(signal.SIGHUP)
                if f":{port}" in message:
                    break
            wait_for_port(process, port)
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
            assert process.wait(timeout=PATIENCE_S) == 0
        finally:
            process.kill()
