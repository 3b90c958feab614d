"""deploy/slurm/translate.sbatch, in the environment that Slurm gives to each task of an array."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from model.translator import Translator

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "deploy" / "slurm" / "translate.sbatch"
FLAGS = ["--precision", "fp32", "--device", "cpu"]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the command, as it is on the path where Dragoman is installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "dragoman-translate"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m model.translate "$@"\n')
    command.chmod(0o755)
    return folder


def task(
    programs: Path, index: int, count: int, *given: str | Path, first: int = 1
) -> subprocess.CompletedProcess[str]:
    """Run a task of an array as Slurm does: a copy of the script, with what it sets."""
    slurm = {
        "SLURM_ARRAY_JOB_ID": "4711",
        "SLURM_ARRAY_TASK_ID": str(index),
        "SLURM_ARRAY_TASK_COUNT": str(count),
        "SLURM_ARRAY_TASK_MIN": str(first),
        "SLURM_ARRAY_TASK_MAX": str(first + count - 1),
        "SLURM_CPUS_PER_TASK": "1",
    }
    return run(programs, slurm, *given)


def run(
    programs: Path, slurm: dict[str, str], *given: str | Path
) -> subprocess.CompletedProcess[str]:
    copy = programs / "slurm_script"
    copy.write_bytes(SCRIPT.read_bytes())
    path = f"{programs}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", copy, *given],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **slurm},
        capture_output=True,
        text=True,
        check=False,
    )


def test_tasks_share_a_file(programs: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    lines = ["der Hund läuft", "rot", "", "die Straße"] * 600  # three parts
    source, output = tmp_path / "in put.txt", tmp_path / "out.txt"
    source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for index in (2, 1, 2):  # the second is requeued
        assert not output.exists()
        ended = task(programs, index, 3, tiny_checkpoint, source, output, *FLAGS)
        assert ended.returncode == 0, ended.stderr
    assert f"{index}/3 is done" in ended.stderr
    assert task(programs, 3, 3, tiny_checkpoint, source, output, *FLAGS).returncode == 0
    translator = Translator.load(tiny_checkpoint, device="cpu", precision="fp32")
    expected = [text.replace("\n", " ") for text in translator.translate(lines)]
    assert output.read_text(encoding="utf-8").splitlines() == expected


def test_what_is_no_array_from_one_is_refused(programs: Path, tmp_path: Path) -> None:
    files = ["run", "in.txt", "out.txt"]
    for ended, message in (
        (run(programs, {"SLURM_JOB_ID": "1"}, *files), "not in an array"),
        (task(programs, 0, 4, *files, first=0), "--array is 0 to 3 with 4 tasks. Give 1-N"),
        (task(programs, 1, 4, "run", "in.txt"), "usage: sbatch --array=1-N"),
    ):
        assert ended.returncode == 2
        assert message in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
