"""The quarantine: what cannot be translated is set aside, and an empty record takes its place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]  # see conftest.py

WORD = "a" * 10_001


def set_aside(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_bad_lines_of_text(command: Command, tmp_path: Path) -> None:
    given, output, aside = (tmp_path / name for name in ("in.txt", "out.txt", "aside.jsonl"))
    lines = [b"Hund", b"Ma\xffn", b"Frau", b"x " + WORD.encode(), b"\xed\xa0\x80", b""]
    given.write_bytes(b"\n".join(lines) + b"\n")
    result = command("--input", given, "--output", output, "--quarantine", aside)
    assert result.status == 0
    assert result.news[-1] == f"dragoman-translate: 3 line(s) set aside in {aside}"
    found = output.read_bytes().split(b"\n")
    assert len(found) == len(lines) + 1
    assert [i for i, line in enumerate(found[:-1]) if not line] == [1, 3, 4, 5]
    assert set_aside(aside) == [
        {
            "line": 2,
            "reason": "not valid UTF-8 (byte 0xff at column 3). Convert the file to UTF-8.",
            "beginning": "Ma\\xffn",
        },
        {
            "line": 4,
            "reason": "a word of more than 10,000 characters. Part it with spaces.",
            "beginning": "x " + "a" * 198,
        },
        {
            "line": 5,
            "reason": "not valid UTF-8 (byte 0xed at column 1). Convert the file to UTF-8.",
            "beginning": "\\xed\\xa0\\x80",
        },
    ]


@pytest.mark.parametrize("text", ["a" * 10_000, "日本。" * 5_000, "ab " * 5_000])
def test_long_lines_that_can_be_cut_are_translated(
    command: Command, tmp_path: Path, text: str
) -> None:
    given, output, aside = (tmp_path / name for name in ("in.txt", "out.txt", "aside.jsonl"))
    given.write_text(text, encoding="utf-8")
    flags = ["--beam-size", "1", "--max-length-a", "0", "--max-length-b", "1"]
    assert command("--input", given, "--output", output, "--quarantine", aside, *flags).status == 0
    assert aside.read_bytes() == b""


def test_bad_records_of_jsonl_and_tsv(command: Command, tmp_path: Path) -> None:
    for name, text in (
        ("in.jsonl", '{"text": "Hund"}\nHund\n{"text": "a", "options": {"beam_size": 0}}\n'),
        ("in.tsv", "1\tHund\n2\n3\n"),
    ):
        given, output, aside = tmp_path / name, tmp_path / f"out-{name}", tmp_path / "aside.jsonl"
        given.write_text(text, encoding="utf-8")
        flags = ["--field", "2"] if name == "in.tsv" else []
        result = command("--input", given, "--output", output, "--quarantine", aside, *flags)
        assert result.status == 0
        assert [one["line"] for one in set_aside(aside)] == [2, 3]
        assert output.read_text(encoding="utf-8").split("\n")[1:] == ["", "", ""]


def test_a_record_whose_options_its_text_cannot_meet(command: Command, tmp_path: Path) -> None:
    """Only the search finds out, and the other records of the window are translated."""
    given, output, aside = (tmp_path / name for name in ("in.jsonl", "out.jsonl", "aside.jsonl"))
    options = {"prefix": "der Hund läuft auf der Straße", "max_length_a": 0, "max_length_b": 1}
    records = [{"text": "Hund"}, {"text": "Hund", "options": options}, {"text": "Mann"}]
    given.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    flags = ["--input", given, "--output", output]
    assert command(*flags).mistake.startswith(f"{given}, line 2: prefix: ")
    assert list(tmp_path.iterdir()) == [given]
    assert command(*flags, "--quarantine", aside).status == 0
    assert [one["line"] for one in set_aside(aside)] == [2]
    first, second, third, _ = output.read_text(encoding="utf-8").split("\n")
    assert second == ""
    assert json.loads(first)["text"] == "Hund" and json.loads(third)["text"] == "Mann"


def test_the_quarantine_of_all_shards_comes_together(
    command: Command, tmp_path: Path, texts: list[str]
) -> None:
    given, output, aside = (tmp_path / name for name in ("in.txt", "out.txt", "aside.jsonl"))
    raws = [text.encode() for text in texts]
    for number in (3, 1024, 1025, 2500):
        raws[number - 1] = b"\xff"
    given.write_bytes(b"\n".join(raws) + b"\n")
    flags = ["--input", given, "--output", output]
    for shard in ("2/3", "3/3"):
        assert command(*flags, "--shard", shard, "--quarantine", aside).status == 0
    # A bad line ends a shard that may set nothing aside; what the others did is kept.
    stopped = command(*flags, "--shard", "1/3")
    assert stopped.mistake.startswith(f"{given}, line 3: not valid UTF-8")
    assert not output.exists() and not aside.exists()
    assert command(*flags, "--resume", "--quarantine", aside).status == 0
    assert [one["line"] for one in set_aside(aside)] == [3, 1024, 1025, 2500]
    assert output.read_bytes().count(b"\n") == len(texts)
    assert sorted(tmp_path.iterdir()) == sorted([given, output, aside])


def test_the_last_shard_needs_a_file_for_what_was_set_aside(
    command: Command, tmp_path: Path, texts: list[str]
) -> None:
    given, output, aside = (tmp_path / name for name in ("in.txt", "out.txt", "aside.jsonl"))
    given.write_bytes(b"\xff\n" + "\n".join(texts).encode() + b"\n")
    flags = ["--input", given, "--output", output]
    assert command(*flags, "--shard", "1/2", "--quarantine", aside).status == 0
    assert "1 line(s) were set aside" in command(*flags, "--shard", "2/2").mistake
    assert not output.exists()
    assert command(*flags, "--resume", "--quarantine", aside).status == 0
    assert len(set_aside(aside)) == 1


def test_the_quarantine_is_not_the_output(command: Command, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    flags = ["--input", source, "--output", output, "--quarantine", output]
    assert command(*flags).mistake.startswith(f"--quarantine {output}: the same file as --output")
