"""`dragoman-data`: the list, a set by name, and mistakes in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from training.corpora.catalogue import CATALOGUE
from training.public_data import main


def test_the_list_describes_every_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    for public in CATALOGUE:
        assert f"{public.name}: " in text
        assert public.licence in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["multi31k", "x"], "'multi31k' is no set. There are multi30k, tatoeba-de-en"),
        (["multi30k"], "DIR is missing. Give a folder, or set the variable DRAGOMAN_DATA."),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DRAGOMAN_DATA", raising=False)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"dragoman-data: error: {message}")
    assert error.count("\n") == 1


def test_without_a_connection_it_says_what_to_put_where(tmp_path: Path) -> None:
    """A proxy at a port where nobody listens stands for a machine without a network."""
    dead = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "training.public_data", "multi30k"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=os.environ | dead | {"DRAGOMAN_DATA": str(tmp_path), "NO_PROXY": "", "no_proxy": ""},
    )
    assert done.returncode == 2
    (public,) = (public for public in CATALOGUE if public.name == "multi30k")
    assert public.attribution in done.stdout
    told = done.stderr.splitlines()
    assert len(told) == len(public.sources) + 1
    for line, source in zip(told, public.sources, strict=False):
        assert line == (
            f"get {source.url} and put it at {tmp_path / 'multi30k' / source.name} "
            f"(licence: {public.licence})"
        )
    assert told[-1].startswith("dragoman-data: error: no connection")


def test_a_set_that_is_there_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (public,) = (public for public in CATALOGUE if public.name == "tatoeba-de-en")
    (tmp_path / public.name).mkdir()
    for name in public.files:
        (tmp_path / public.name / name).touch()
    assert main([public.name, str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith("Nothing to do.\n")
