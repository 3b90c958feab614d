"""Kernels that an image brings: complete, and of use where nothing can be written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

TRANSLATE = """
import importlib, json, pkgutil, sys
from pathlib import Path
import model.decoding.native as native
from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.precision.fastest_precision import seconds_of
from model.decoding.options import SearchOptions
from model.translator import Translator

translator = Translator.load(sys.argv[1], device="cpu", precision="int8")
found = [
    each.text
    for options in (SearchOptions(), SearchOptions(beam_size=3, n_best=3, coverage_beta=0.3))
    for each in translator.search(["der Hund", "ein Mann sieht die Frau. das Haus"], options)
]
seconds_of(load_checkpoint(Path(sys.argv[1])).network, "int8")
misses = 0
for module in pkgutil.iter_modules(native.__path__, native.__name__ + "."):
    for kernel in vars(importlib.import_module(module.name)).values():
        if hasattr(kernel, "stats"):
            misses += sum(kernel.stats.cache_misses.values())
print(json.dumps([found, misses]))
"""
LOCKED = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
"""A file system that nobody can write to, as in a container; permissions do not stop root."""


def translate(checkpoint: Path, *before: str, **environment: str) -> tuple[list[str], int]:
    """What a process translates in int8, and how many kernels it compiles for that."""
    printed = subprocess.run(
        [*before, sys.executable, "-c", TRANSLATE, str(checkpoint)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    ).stdout
    found, misses = json.loads(printed)
    return found, misses


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `python -m model.decoding.precompile` has filled."""
    folder = tmp_path_factory.mktemp("kernels")
    subprocess.run(
        [sys.executable, "-m", "model.decoding.precompile"],
        check=True,
        cwd=ROOT,
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder)},
    )
    return folder


@pytest.fixture(scope="module")
def found(kernels: Path, tiny_checkpoint: Path) -> list[str]:
    """The translations, with all kernels there."""
    found, misses = translate(tiny_checkpoint, NUMBA_CACHE_DIR=str(kernels))
    assert misses == 0  # nothing is left to compile
    return found


@pytest.fixture(scope="module")
def locked(kernels: Path) -> tuple[str, ...]:
    """What is put before a command, so that `kernels` cannot be written to."""
    lock = ("unshare", "--mount", "sh", "-c", LOCKED, str(kernels))
    probe = 'test -r "$0" && ! touch "$0/new" 2>/dev/null'
    try:
        subprocess.run([*lock, "sh", "-c", probe, str(kernels)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a file system")
    return lock


@pytest.mark.slow
def test_they_serve_where_nothing_can_be_written(
    kernels: Path, locked: tuple[str, ...], tiny_checkpoint: Path, tmp_path: Path, found: list[str]
) -> None:
    places = {"NUMBA_CACHE_DIR": str(kernels), "TMPDIR": str(tmp_path)}
    assert translate(tiny_checkpoint, *locked, **places) == (found, 0)
    assert not list(tmp_path.iterdir())  # the copy is gone with its process


@pytest.mark.slow
def test_another_processor_compiles_its_own(
    kernels: Path, locked: tuple[str, ...], tiny_checkpoint: Path, found: list[str]
) -> None:
    places = {"NUMBA_CACHE_DIR": str(kernels), "NUMBA_CPU_NAME": "x86-64-v2"}
    again, misses = translate(tiny_checkpoint, *locked, **places)
    assert len(again) == len(found) and misses > 10


def test_the_command_says_where_nothing_can_be_kept() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "model.decoding.precompile"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"NUMBA_CACHE_DIR": "/dev/null/nowhere"},
    )
    assert done.returncode == 1
    assert "cannot be written to" in done.stderr
