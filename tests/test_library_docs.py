"""docs/library.md: it has every public name, and its examples run."""

import re
from pathlib import Path

import pytest

import dragoman
from model import errors

PAGE = (Path(__file__).parents[1] / "docs" / "library.md").read_text(encoding="utf-8")
README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
FOR_COMMANDS = {"search_window", "search_each"}
"""Methods for those that read a corpus a window at a time; they are not kept stable."""


def rows(title: str) -> set[str]:
    """The names in the first column of the table with this title."""
    table = PAGE[PAGE.index(title) :].split("\n\n")[0]
    return set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_every_public_name_is_documented() -> None:
    assert rows("| name |") == set(dragoman.__all__)
    for name in dragoman.__all__:
        assert getattr(dragoman, name) is not None


def test_every_method_of_a_translator_is_documented() -> None:
    methods = {name for name in vars(dragoman.Translator) if not name.startswith("_")}
    assert rows("| of a `Translator` |") == methods - FOR_COMMANDS


def test_every_error_is_public() -> None:
    kinds = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    ours = {name for name, kind in kinds.items() if issubclass(kind, Exception)}
    assert ours <= set(dragoman.__all__)


@pytest.mark.parametrize("page", [PAGE, README], ids=["docs/library.md", "README.md"])
def test_the_examples_run(
    page: str, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, as a reader would; tests/test_docs_examples.py compares the answers."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(tiny_checkpoint)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert blocks
    for name in re.findall(r"`translator\.(\w+)", page):
        assert hasattr(dragoman.Translator, name) or name == "options", name
    known: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "example", "exec"), known)


def test_the_version_is_that_of_the_project() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{dragoman.__version__}"\n' in project
