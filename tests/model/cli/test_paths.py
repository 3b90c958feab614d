"""Which outputs are refused; tests/test_overwriting.py has every command."""

from pathlib import Path

import pytest

from model.cli.paths import Place, checkpoint_places, refuse_overwriting
from model.errors import ConfigError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.txt").write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("reads", "writes", "message"),
    [
        (
            [("--input", "a.txt")],
            [("--output", "folder/../a.txt")],
            "--output folder/../a.txt: the same file as --input a.txt, which would be lost.",
        ),
        (
            [("--input", "folder/b.txt")],
            [("--output", "c"), ("RUN", Path("folder"))],
            "RUN folder: the folder of --input folder/b.txt, which would be lost.",
        ),
        (
            [],
            [("--output", "new"), ("--json", "./new")],
            "--json ./new: the same file as --output new.",
        ),
        (
            [],
            [("--output", "new.txt"), ("--json", "NEW.TXT")],
            "--json NEW.TXT: the same file as --output new.txt.",
        ),
        (
            [],
            [("RUN", "folder"), ("--json", "folder/new")],
            "--json folder/new: within RUN folder.",
        ),
        (
            [],
            [("--json", "folder/new"), ("RUN", "folder")],
            "RUN folder: the folder of --json folder/new.",
        ),
    ],
)
def test_what_is_refused(reads: list[Place], writes: list[Place], message: str, here: Path) -> None:
    with pytest.raises(ConfigError) as found:
        refuse_overwriting(reads, writes)
    assert str(found.value) == f"{message} Give another name."


@pytest.mark.parametrize(
    ("reads", "writes"),
    [
        ([("--input", "a.txt")], [("--output", "b.txt"), ("--json", None)]),
        ([("--input", "a.txt")], [("--output", "folder/a.txt")]),
        ([("--input", "missing")], [("--output", "new"), ("--json", "newer")]),
        ([("--input", "/dev/null")], [("--output", "/dev/null"), ("--json", "/dev/null")]),
        ([("--input", "folder/b.txt")], [("--output", "folder/c.txt")]),
        ([], [("--output", "missing/a"), ("--json", "missing/b")]),
        ([], [("--output", "-"), ("--json", "-")]),
    ],
)
def test_what_is_fine(reads: list[Place], writes: list[Place], here: Path) -> None:
    refuse_overwriting(reads, writes)


def test_the_files_of_a_run_are_those_of_its_best_checkpoint(tiny_checkpoint: Path) -> None:
    places = checkpoint_places("RUN", [tiny_checkpoint, None])
    assert {flag for flag, _ in places} == {"RUN"}
    names = {Path(str(path)).name for _, path in places}
    assert names == {path.name for path in (tiny_checkpoint / "best").iterdir()}
