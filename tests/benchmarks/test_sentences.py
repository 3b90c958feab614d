"""The benchmark of sentence ends: how its file is read and what counts as an error."""

from pathlib import Path

from benchmarks.sentences import ends_of, read_sentences, report


def test_marks_are_taken_out_of_the_line(tmp_path: Path) -> None:
    file = tmp_path / "sentences.tsv"
    file.write_text("de\tJa.| Nein.| Gut.\nzh\t是。|不。\nth\tx\n", encoding="utf-8")
    expected = [("de", "Ja. Nein. Gut.", {3, 9}), ("zh", "是。不。", {2}), ("th", "x", set())]
    assert read_sentences(file) == expected


def test_sentences_are_found_in_the_line() -> None:
    assert ends_of("A.  B. A.", ["A.", "B. ", "A."]) == [2, 6]
    assert ends_of("A.  B.", ["A. B."]) == []


def test_missed_and_wrong_ends_are_counted_apart() -> None:
    lines = [("de", "Ja. Nein. Gut.", {3, 9}), ("zh", "是。不。", {2})]
    counts = report(lambda line, language: [3, 5], lines).split()
    assert counts[:6] == ["1+1", "0+0", "0+0", "0+0", "1+2", "5"]
