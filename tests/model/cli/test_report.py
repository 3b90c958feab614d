"""Tables and JSON: what a command writes, and where."""

import json
from pathlib import Path

import pytest

from model.cli.report import table, write_report
from model.errors import DataError


def test_table() -> None:
    rows = [["fp32", "1.5"], ["bf16 or so", "1,000.0"]]
    assert table(["precision", "per s"], rows) == (
        "precision     per s\nfp32            1.5\nbf16 or so  1,000.0\n"
    )


def test_a_table_has_no_trailing_space() -> None:
    assert table(["a", "b"], [["prefix", ""]]) == "a       b\nprefix\n"


def test_text_alone(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    write_report("BLEU 1 ± 2\n", {"bleu": 1}, None)
    assert capsysbinary.readouterr().out == "BLEU 1 ± 2\n".encode()


def test_text_and_a_file(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    file = tmp_path / "figures.json"
    write_report("text\n", {"card": "Größe", "bleu": 1.5}, str(file))
    assert capsysbinary.readouterr().out == b"text\n"
    assert json.loads(file.read_text(encoding="utf-8")) == {"card": "Größe", "bleu": 1.5}
    assert "Größe" in file.read_text(encoding="utf-8")


def test_json_in_place_of_the_text(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    write_report("text\n", {"bleu": 1.5}, "-")
    assert json.loads(capsysbinary.readouterr().out) == {"bleu": 1.5}


def test_no_such_directory(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        write_report("text\n", {}, str(tmp_path / "missing" / "figures.json"))
    assert capsysbinary.readouterr().out == b""
