"""A real process killed at any instant: what it did is kept, and the output is the same."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.patience import PATIENCE_S

FLAGS = ["--device", "cpu", "--precision", "fp32", "--threads", "1"]


@pytest.fixture
def command_line(tiny_checkpoint: Path, source: Path) -> list[str]:
    """The command line, to which an output and flags are added."""
    run = [sys.executable, "-m", "model.translate", str(tiny_checkpoint), *FLAGS]
    return [*run, "--input", str(source), "--output"]


def kill_when(command: list[str], folder: Path, pattern: str, delay_s: float) -> None:
    """Start it, and kill it `delay_s` after `folder` has something like `pattern`."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        while not list(folder.glob(pattern)):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.001)
        time.sleep(delay_s)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0)


def test_killed_jobs_end_with_the_same_bytes(
    command_line: list[str], tmp_path: Path, expected: bytes
) -> None:
    """Killed as it begins and in two parts, each time at another instant."""
    output, folder = tmp_path / "out.txt", tmp_path / "out.txt.parts"
    command = [*command_line, str(output), "--resume"]
    rng = random.Random(7)
    for pattern in ("lock", "00000000-*", "00000001-*"):
        kill_when(command, folder, pattern, rng.random() * 0.02)
        if folder.exists():
            assert not output.exists()
    subprocess.run(command, check=True, stderr=subprocess.PIPE)
    assert output.read_bytes() == expected
    assert not folder.exists()


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3])
def test_shards_killed_at_random_instants(
    command_line: list[str], tmp_path: Path, expected: bytes, count: int
) -> None:
    output, folder = tmp_path / "out.txt", tmp_path / "out.txt.parts"
    rng = random.Random(count)
    shards = [
        [*command_line, str(output), "--resume", "--shard", f"{i}/{count}"]
        for i in range(1, count + 1)
    ]
    for _ in range(6):
        with subprocess.Popen(rng.choice(shards), stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            process.stderr.readline()  # the model is loaded
            time.sleep(rng.random())
            process.kill()
        if not folder.exists():
            output.unlink(missing_ok=True)  # it was done before: the next one begins
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for command in shards]
    for one in running:
        assert one.stderr is not None
        one.stderr.read()
        one.stderr.close()
        assert one.wait() == 0
    assert output.read_bytes() == expected
    assert not folder.exists()


def test_a_shard_follows_the_one_that_began_while_it_loaded(
    tiny_checkpoint: Path, command: Callable[..., Any], source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.txt"
    flags = ["--input", source, "--output", output, "--precision", "fp32", "--device", "cpu"]
    run = [sys.executable, "-m", "model.translate", tiny_checkpoint, *flags, "--shard", "2/2"]
    with subprocess.Popen(list(map(str, run)), stderr=subprocess.PIPE) as late:
        assert late.stderr is not None
        late.stderr.readline()  # it has loaded the model, with as many threads as it likes
        late.send_signal(signal.SIGSTOP)
        try:
            threads = torch.get_num_threads() + 3
            assert command(*flags, "--shard", "1/2", "--threads", str(threads)).status == 0
        finally:
            late.send_signal(signal.SIGCONT)
        assert f"threads {threads}" in late.stderr.readline().decode()
        late.stderr.read()
    assert late.returncode == 0
    assert output.exists()


def test_a_job_that_is_told_to_end_says_how_to_go_on(
    command_line: list[str], tmp_path: Path, source: Path, expected: bytes
) -> None:
    output, folder = tmp_path / "out.txt", tmp_path / "out.txt.parts"
    source.write_text(source.read_text(encoding="utf-8") * 20, encoding="utf-8")
    started = subprocess.Popen([*command_line, str(output)], stderr=subprocess.PIPE)
    try:
        while not list(folder.glob("00000000-????????")):
            assert started.poll() is None
            time.sleep(0.005)
        started.send_signal(signal.SIGTERM)
        errors = started.communicate(timeout=PATIENCE_S)[1].decode().splitlines()
    finally:
        started.kill()
    assert started.returncode == 143
    assert errors[-1] == (
        f"dragoman-translate: what is done is in {folder}: the same command with --resume goes on"
    )
    assert not output.exists()
    assert folder.exists()
