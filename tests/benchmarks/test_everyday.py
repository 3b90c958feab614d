"""Everyday sentences: what the names of the kinds promise, and the marks of a reader."""

import re
import unicodedata
from pathlib import Path

import pytest

from benchmarks.everyday import (
    FILE,
    KINDS,
    check_unmarked,
    count_marks,
    read_sentences,
    write_outputs,
)
from model.errors import ConfigError, DataError
from model.text.sentences import sentence_ends

MARKS_OF_KIND = {
    "question": re.compile(r"\?$"),
    "request": re.compile(r"^[A-ZÄÖÜ].*\.$"),
    "number": re.compile(r"\d|Viertel|halb|Drittel|Mittwoch"),
    "no-break": re.compile("[\u00a0\u202f]"),
    "lower-case": re.compile(r"^[a-zäöüß ]+$"),
}


def test_the_file_is_a_table_of_two_hundred_different_sentences() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert unicodedata.is_normalized("NFC", text)
    rows = [line.split("\t") for line in text.removesuffix("\n").split("\n")]
    assert rows[0] == ["id", "kind", "de", "en"]
    assert {len(row) for row in rows} == {4}
    assert all(cell and cell == cell.strip() for row in rows for cell in row)
    sentences = read_sentences()
    assert [[one.id, one.kind, one.source, one.reference] for one in sentences] == rows[1:]
    assert len(sentences) == 200
    for column in range(4):
        assert column == 1 or len({row[column] for row in rows}) == 201
    assert list(dict.fromkeys(one.kind for one in sentences)) == list(KINDS)
    assert all(22 <= sum(one.kind == kind for one in sentences) <= 23 for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_sentence_is_what_its_kind_says(kind: str) -> None:
    for sentence in read_sentences():
        if sentence.kind != kind:
            continue
        source = sentence.source
        assert sentence.id.startswith(f"{kind}-")
        assert len(source.split()) > 3
        assert (20 <= len(source.split()) <= 40) is (kind == "long")
        assert kind not in MARKS_OF_KIND or MARKS_OF_KIND[kind].search(source)
        if kind != "no-break":
            assert not MARKS_OF_KIND["no-break"].search(source)
            assert len(sentence_ends(source, "de")) == (kind == "two-sentences")


def test_a_reader_sees_sources_and_outputs_and_the_marks_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "everyday.x.tsv"
    sentences = [one for one in read_sentences() if one.kind in ("long", "typo")][20:24]
    write_outputs(path, sentences, ["a", "two\twords", "", "b\nc"])
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "id\tkind\tde\toutput"
    assert [line.split("\t")[3] for line in lines[1:]] == ["a", "two words", "", "b c"]
    assert [line.split("\t")[2] for line in lines[1:]] == [one.source for one in sentences]
    check_unmarked(path)
    marks = ("mark", "right", "wrong", "understandable", "wrong")
    marked = [f"{line}\t{mark}" for line, mark in zip(lines, marks, strict=True)]
    path.write_text("\n".join(marked), encoding="utf-8")
    assert count_marks(path) == {
        "long": {"right": 1, "understandable": 0, "wrong": 1},
        "typo": {"right": 0, "understandable": 1, "wrong": 1},
    }
    with pytest.raises(ConfigError, match="may have been marked"):
        check_unmarked(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind\tmark\nlong\tgood\n", "line 2: mark is 'good'. Use right, understandable or wrong."),
        ("kind\tmark\nlong\tright\nlong\n", "line 3: mark is ''"),
        ("mark\tkind\nright\tshort\n", "line 2: kind is 'short'"),
        ("id\tkind\tde\toutput\n", "no column mark"),
        ("", "no column kind"),
    ],
)
def test_a_file_without_marks_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "marked.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(said)):
        count_marks(path)
