"""Columns of text output: what --format jsonl says, in the formats of Pharaoh and Moses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]  # see conftest.py

TEXTS = ["der Hund läuft.", "", "* die Frau sieht den Mann!", "10 Hunde. Der Mann!", "\t"]


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "given.txt"
    path.write_text("".join(text + "\n" for text in TEXTS), encoding="utf-8")
    return path


@pytest.fixture
def found(command: Command, tmp_path: Path) -> list[list[dict[str, Any]]]:
    """For each text its translations, read from JSON."""
    path, output = tmp_path / "given.jsonl", tmp_path / "found.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    assert command("--input", path, "--output", output, "--n-best", "2").status == 0
    lines = map(json.loads, output.read_text(encoding="utf-8").splitlines())
    return [[line, *line["alternatives"]] for line in lines]


def links(hypothesis: dict[str, Any]) -> str:
    words = hypothesis["translation"].split()
    assert len(words) == len(hypothesis["word_alignment"])
    return " ".join(f"{hypothesis['word_alignment'][i]}-{i}" for i in range(len(words)))


def printed(command: Command, given: Path, *flags: str) -> list[str]:
    output = given.with_name("out.txt")
    result = command("--input", given, "--output", output, *flags)
    assert result.status == 0, result.news
    return output.read_text(encoding="utf-8").split("\n")[:-1]


def test_one_line_each(command: Command, given: Path, found: list[list[dict[str, Any]]]) -> None:
    best = [hypotheses[0] for hypotheses in found]
    text = [one["translation"] for one in best]
    score = [f"{one['score']:.6f}" for one in best]
    assert printed(command, given, "--print", "scores") == [
        f"{t} ||| {s}" for t, s in zip(text, score, strict=True)
    ]
    assert printed(command, given, "--print", "alignment") == [
        f"{t} ||| {links(one)}" for t, one in zip(text, best, strict=True)
    ]
    assert printed(command, given, "--print", "alignment,scores") == [
        f"{t} ||| {s} ||| {links(one)}" for t, s, one in zip(text, score, best, strict=True)
    ]


def test_a_line_for_each_translation(
    command: Command, given: Path, found: list[list[dict[str, Any]]]
) -> None:
    assert max(map(len, found)) == 2
    rows = [
        (f"{index} ||| {one['translation']} ||| {one['score']:.6f}", links(one))
        for index, hypotheses in enumerate(found)
        for one in hypotheses
    ]
    flags = ["--n-best", "2", "--print"]
    assert printed(command, given, *flags, "nbest") == [row for row, _ in rows]
    assert printed(command, given, *flags, "nbest,alignment") == [f"{r} ||| {a}" for r, a in rows]


def test_what_is_set_aside_has_no_translations(
    command: Command, given: Path, tmp_path: Path
) -> None:
    given.write_bytes(b"Hund\n\xff\nMann\n")
    aside = str(tmp_path / "aside.jsonl")
    lines = printed(command, given, "--print", "nbest", "--quarantine", aside)
    assert [line.split(" ||| ")[0] for line in lines] == ["0", "2"]
    lines = printed(command, given, "--print", "scores", "--quarantine", aside)
    assert [bool(line) for line in lines] == [True, False, True]


def test_parts_with_other_columns_are_not_joined(
    command: Command, source: Path, tmp_path: Path
) -> None:
    files = ["--input", source, "--output", tmp_path / "out.txt"]
    assert command(*files, "--shard", "1/2", "--print", "scores").status == 0
    message = command(*files, "--shard", "2/2").mistake
    assert "begun with columns ('scores',), not ()" in message


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--print", "score"], "--print: 'score' is not known"),
        (["--print", ""], "--print: '' is not known"),
        (["--print", "scores", "--format", "tsv"], "--print: is for text, but the input is read"),
        (["--print", "scores", "--n-best", "2"], "--n-best 2: text has one translation"),
    ],
)
def test_what_is_refused(command: Command, given: Path, flags: list[str], message: str) -> None:
    assert command("--input", given, *flags).mistake.startswith(message)
