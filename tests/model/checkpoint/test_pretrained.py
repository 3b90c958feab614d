"""Models in the box: a name is one of the list, letter by letter, and a path comes first."""

import shutil
from pathlib import Path

import pytest

from model.checkpoint import pretrained
from model.checkpoint.pretrained import in_box, names, or_in_box, suggestion
from model.checkpoint.run_directory import resolve
from model.errors import CheckpointError


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packs that are never read; the current folder is another, which is empty."""
    folder = tmp_path / "pretrained"
    folder.mkdir()
    for name in ("de-en", "en-de", "titles"):
        (folder / f"{name}.dragoman").touch()
    (folder / "README.md").touch()
    (tmp_path / "secret.dragoman").touch()
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(pretrained, "FOLDER", folder)
    monkeypatch.chdir(tmp_path / "here")
    return folder


def test_a_name_is_that_of_a_file(box: Path) -> None:
    assert names() == ["de-en", "en-de", "titles"]
    for name in names():
        assert in_box(Path(name)) == resolve(Path(name)) == box / f"{name}.dragoman"


def test_the_folder_lies_beside_our_packages() -> None:
    root = Path(__file__).resolve().parents[3]
    assert root / "pretrained" == pretrained.FOLDER
    assert pretrained.FOLDER.is_dir()


@pytest.mark.parametrize("what", ["folder", "file", "dangling link"])
def test_what_lies_there_comes_before_a_name(box: Path, what: str) -> None:
    here = Path("de-en")
    if what == "folder":
        here.mkdir()
        (here / "manifest.json").touch()
    elif what == "file":
        here.touch()
    else:
        here.symlink_to("nowhere")
    assert in_box(here) == here
    if what != "dangling link":
        assert resolve(here) == here
    assert in_box(Path("de-en"), box.parent) == box / "de-en.dragoman"


def test_a_path_is_relative_to_the_folder_that_is_given(box: Path) -> None:
    other = box.parent / "other"
    (other / "de-en").mkdir(parents=True)
    assert in_box(Path("de-en"), other) == other / "de-en"
    assert in_box(Path("runs/de-en"), other) == other / "runs/de-en"
    Path("titles").mkdir()
    assert in_box(Path("titles"), other) == box / "titles.dragoman"


@pytest.mark.parametrize(
    "hostile",
    ["../secret", "../pretrained/de-en", "x/../de-en", "DE-EN", "de*", "*", "de-en\0", "..", "",
     "README", "README.md", "de-en.dragoman", "d" * 300, "\udcff", "~", "-", " de-en", "de\n-en"],
)  # fmt: skip
def test_nothing_else_is_a_name(box: Path, hostile: str) -> None:
    assert in_box(Path(hostile)) == Path(hostile)


@pytest.mark.parametrize("same", ["de-en/", "./de-en", "de-en/.", "de-en//"])
def test_a_path_that_is_written_otherwise_is_the_same_name(box: Path, same: str) -> None:
    assert in_box(Path(same)) == box / "de-en.dragoman"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("de-ne", " Did you mean de-en?"),
        ("DE-EN", " Did you mean de-en?"),
        ("de_en", " Did you mean de-en?"),
        ("en-den", " Did you mean en-de?"),
        ("de-en.dragoman", " Did you mean de-en?"),
        ("runs/title", " Did you mean titles?"),
        ("somewhere", ""),
    ],
)
def test_a_wrong_name_is_told_in_one_line_with_all_that_there_are(
    box: Path, given: str, meant: str
) -> None:
    with pytest.raises(CheckpointError) as refusal:
        resolve(Path(given))
    assert str(refusal.value) == (
        f"{given}: does not exist.{meant} Give a run, a checkpoint directory or a pack, or a model "
        "in the box: de-en, en-de, titles."
    )


def test_without_the_folder_there_are_no_names(box: Path) -> None:
    shutil.rmtree(box)
    assert names() == []
    assert or_in_box() == suggestion(Path("de-en")) == ""
    with pytest.raises(CheckpointError, match=r"de-en: does not exist. Give .* or a pack\.$"):
        resolve(Path("de-en"))
