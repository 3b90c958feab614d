"""Checkpoints from strangers: whatever they hold, one line says why they are refused."""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model.checkpoint.checkpoint import add_shortlist, derive_checkpoint, load_checkpoint
from model.errors import CheckpointError
from model.inspect import main as inspect
from tests.hostile_checkpoints import (
    ATTACKS,
    HARMLESS,
    MIB,
    VALID,
    attacked,
    copy_of_the_valid_one,
    lists_a_file,
    lists_an_unknown_file,
    sign,
)
from tests.patience import PATIENCE_S

LONGEST = 2000  # characters of a message


@contextmanager
def memory_limited_to(more: int) -> Iterator[None]:
    """Let this process take no more than `more` bytes beyond what it has."""
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    directory = attacked(tmp_path / "checkpoint", ATTACKS[name])

    with pytest.raises(CheckpointError) as refusal, memory_limited_to(256 * MIB):
        load_checkpoint(directory)

    message = str(refusal.value)
    assert message.startswith(str(directory))
    assert len(message) < LONGEST


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_only_odd_is_loaded_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    directory = attacked(tmp_path / "checkpoint", HARMLESS[name])

    assert inspect([str(directory)]) == 0

    shown = capsys.readouterr().out
    assert shown.replace("\n", "").isprintable()


@pytest.mark.parametrize("module", ["model.inspect", "model.translate"])
@pytest.mark.parametrize(
    "name",
    [
        "config: vocab_size 2^40",
        "config: encoder_layers 100,000",
        "manifest: files null",
        "manifest: a list in 100,000 others",
        "tokenizer.model: a FIFO",
        "weights.safetensors: 8 TB without content",
    ],
)
def test_a_command_says_so_and_ends_with_2(tmp_path: Path, module: str, name: str) -> None:
    directory = attacked(tmp_path / "checkpoint", ATTACKS[name])

    done = subprocess.run(
        [sys.executable, "-m", module, str(directory)],
        input="",
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )

    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert f": error: {directory}" in line


@pytest.mark.parametrize("name", ["../outside", "a/../../outside"])
def test_a_copy_writes_nothing_outside_of_itself(tmp_path: Path, name: str) -> None:
    directory = copy_of_the_valid_one(tmp_path / "checkpoint")
    shortlist = load_checkpoint(directory).shortlist
    assert shortlist is not None
    (tmp_path / "outside").write_bytes(b"")
    lists_a_file(directory, name)
    sign(directory)

    with pytest.raises(CheckpointError, match=r"manifest\.json: files: "):
        add_shortlist(tmp_path / "a" / "run", directory, shortlist, card="")
    with pytest.raises(CheckpointError, match=r"manifest\.json: files: "):
        derive_checkpoint(directory, tmp_path / "a" / "copy", weights={}, card="")
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint", "outside"}


def test_a_file_of_a_later_version_is_copied_if_it_is_not_huge(tmp_path: Path) -> None:
    directory = attacked(tmp_path / "checkpoint", lists_an_unknown_file)
    shortlist = load_checkpoint(directory).shortlist
    assert shortlist is not None

    copy = add_shortlist(tmp_path / "run", directory, shortlist, card="")
    assert (copy / "new.bin").read_bytes() == b"x"

    with (directory / "new.bin").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(CheckpointError, match=r"new\.bin: 1,000,000,000,000 bytes, but at most"):
        add_shortlist(tmp_path / "run", directory, shortlist, card="")


def test_the_largest_sizes_are_named(tmp_path: Path) -> None:
    directory = attacked(tmp_path / "checkpoint", ATTACKS["config: max_length 10^9"])

    message = r"config\.json: model\.max_length: 1000000000 is too large\. Use 10000 or less\."
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(directory)


def test_the_attacks_change_what_would_otherwise_load(tmp_path: Path) -> None:
    directory = copy_of_the_valid_one(tmp_path / "checkpoint")

    assert load_checkpoint(directory).shortlist is not None
    files = json.loads((directory / "manifest.json").read_text())["files"]
    assert json.loads((VALID / "manifest.json").read_text())["files"].items() <= files.items()
