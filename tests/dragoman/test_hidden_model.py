"""Another `model` on Python's path: `import dragoman` says in one line what hides what."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_script(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the user's in `folder`, as one does where Dragoman is installed."""
    (folder / "script.py").write_text(script)
    return subprocess.run(
        [sys.executable, str(folder / "script.py")],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", ["model.py", "model/__init__.py"])
def test_another_model_is_named_and_not_run(tmp_path: Path, name: str) -> None:
    other = tmp_path / name
    other.parent.mkdir(exist_ok=True)
    other.write_text("print('the model of the user was run')\n")
    done = run_script(tmp_path, "import dragoman\n")
    assert done.returncode == 1
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: dragoman needs its own package `model`")
    assert str(other) in last and str(ROOT / "model") in last
    assert "Rename that one" in last


def test_a_model_that_is_imported_already_is_named(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "model.py").touch()
    script = (
        f"import sys\nsys.path.insert(0, {str(elsewhere)!r})\nimport model\n"
        "sys.path.pop(0)\nimport dragoman\n"
    )
    done = run_script(tmp_path, script)
    assert str(elsewhere / "model.py") in done.stderr.splitlines()[-1]


def test_a_folder_without_python_hides_nothing(tmp_path: Path) -> None:
    """Such as one with checkpoints: Python prefers a package further down its path."""
    (tmp_path / "model").mkdir()
    done = run_script(tmp_path, "import dragoman\nprint(dragoman.Translator.__module__)\n")
    assert (done.stdout, done.stderr) == ("model.translator\n", "")
