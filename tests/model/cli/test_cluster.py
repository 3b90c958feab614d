"""--engine of the commands: what is refused, in one line and before any engine starts."""

import io
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from model.translate import main
from training.distill import main as distill

Mistake = Callable[..., str]


@pytest.fixture
def mistake(tiny_checkpoint: Path, tmp_path: Path) -> Mistake:
    """Runs a command that must fail, and returns its one line."""

    def run(*flags: str | Path, command: Callable[[list[str]], int] = main) -> str:
        errors = io.StringIO()
        with redirect_stderr(errors):
            status = command([str(tiny_checkpoint), *map(str, flags)])
        (line,) = errors.getvalue().splitlines()
        assert status == 2, line
        return line.partition(": error: ")[2]

    return run


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """Flags of an input with two rows, and a new output."""
    (tmp_path / "in").mkdir()
    table = pyarrow.table({"id": [1, 2], "text": ["der Hund", "rot"]})
    pyarrow.parquet.write_table(table, tmp_path / "in" / "0.parquet")
    return ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]


@pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("spark", "pyspark")])
def test_an_engine_that_is_not_installed_is_told(
    mistake: Mistake, folders: list[str], engine: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed, where it is
    said = mistake("--engine", engine, *folders)
    assert f"Install the extra {engine}: pip install 'dragoman[{engine}]'." in said


def test_flags_that_do_not_go_together_are_refused(
    mistake: Mistake, folders: list[str], tmp_path: Path
) -> None:
    ray = ["--engine", "ray", *folders]
    for flags, message in (
        (["--engine", "ray"], "Give --input and --output"),
        ([*ray, "--shard", "1/2"], "--shard: is for a job on one machine"),
        ([*ray, "--quarantine", "q"], "--quarantine: is for a job on one machine"),
        ([*ray, "--print", "scores"], "--print: is for a job on one machine"),
        ([*ray, "--format", "text"], "--format text: an engine reads Parquet"),
        ([*ray, "--device", "cuda"], "--device cuda: a worker has cpu, by --num-gpus"),
        ([*ray, "--num-gpus", "-1"], "--num-gpus: -1.0 is too small"),
        (["--engine", "spark", *folders, "--num-gpus", "1"], "--num-gpus: is for Ray"),
        ([*folders, "--workers", "2"], "--workers: is for --engine ray or spark"),
        ([*folders, "--num-gpus", "1"], "--num-gpus: is for --engine ray or spark"),
    ):
        assert message in mistake(*flags)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_folders_that_cannot_be_used_are_refused(
    mistake: Mistake, folders: list[str], tmp_path: Path
) -> None:
    within = tmp_path / "in" / "out"
    given = ["--engine", "ray", "--input", tmp_path / "in", "--output"]
    assert "is within --input" in mistake(*given, within)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    assert f"{tmp_path / 'full'}: is not empty" in mistake(*given, tmp_path / "full")
    (tmp_path / "out.parts").mkdir()
    assert "parts of an earlier run" in mistake(*given, tmp_path / "out")


@pytest.mark.parametrize("engine", ["ray", "spark"])
def test_ids_are_looked_at_before_anything_starts(
    mistake: Mistake, folders: list[str], tmp_path: Path, engine: str
) -> None:
    pytest.importorskip({"ray": "ray", "spark": "pyspark"}[engine])
    table = pyarrow.table({"id": [1, 1], "text": ["der Hund", "rot"]})
    pyarrow.parquet.write_table(table, tmp_path / "in" / "1.parquet")
    assert "the id '1' in column 'id' stands in several" in mistake("--engine", engine, *folders)
    assert "no column 'key'" in mistake("--engine", engine, *folders, "--id", "key")
    assert not (tmp_path / "out.parts").exists()


def test_distill_refuses_what_needs_one_machine(mistake: Mistake, folders: list[str]) -> None:
    flags = ["--engine", "ray", *folders, "--nearest", "bleu"]
    assert "--nearest: is for a job on one machine" in mistake(*flags, command=distill)
    assert "--id: is for --engine" in mistake(*folders, "--id", "id", command=distill)


def test_the_library_and_the_command_import_no_engine() -> None:
    """Nor pandas, which only comes with an engine."""
    program = """if True:
        import sys
        import dragoman
        import model.translate
        import training.distill
        from model.cli.translate_parser import translate_parser
        translate_parser()
        loaded = {name.partition(".")[0] for name in sys.modules}
        print(sorted(loaded & {"ray", "pyspark", "py4j", "pandas", "pyarrow"}))
    """
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
