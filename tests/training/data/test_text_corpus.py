"""Corpora: aligned lines in, ids out; what is refused and what is left out."""

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from model.errors import DataError
from model.text.tokenizer import Tokenizer
from training.config.data_config import CorpusConfig, DataConfig, FilterConfig
from training.data.text_corpus import TextPairs, encode_corpus, hold_out, read_pairs, sample_pairs


def data(folder: Path) -> DataConfig:
    files = CorpusConfig(source=Path("a"), target=Path("b"))
    return DataConfig(
        train=(files,),
        dev=files,
        data_dir=folder,
        source_language="de",
        target_language="en",
        license="CC0",
    )


def read(folder: Path, source: bytes, target: bytes) -> TextPairs:
    (folder / "a").write_bytes(source)
    (folder / "b").write_bytes(target)
    return read_pairs(CorpusConfig(source=Path("a"), target=Path("b")), data(folder))


def test_two_files_tsv_and_gzip_read_the_same(tmp_path: Path) -> None:
    expected = TextPairs(sources=["eins", "zwei"], targets=["one", "two"])
    assert read(tmp_path, b"eins\nzwei\n", b"one\r\ntwo") == expected
    (tmp_path / "c.tsv").write_bytes(b"eins\tone\tignored\nzwei\ttwo\n")
    assert read_pairs(CorpusConfig(files=Path("c.tsv")), data(tmp_path)) == expected
    (tmp_path / "d.tsv.gz").write_bytes(gzip.compress(b"eins\tone\nzwei\ttwo\n"))
    assert read_pairs(CorpusConfig(files=Path("d.tsv.gz")), data(tmp_path)) == expected


@pytest.mark.parametrize(
    ("most", "taken"), [(3, "368"), (4, "2468"), (8, "12345678"), (9, "12345678")]
)
def test_a_sample_has_pairs_at_even_distances_of_all_corpora(
    tmp_path: Path, most: int, taken: str
) -> None:
    for name in "ab":
        (tmp_path / name).write_text("1\n2\n3\n4\n5\n")
    (tmp_path / "c.tsv").write_text("6\t6\n7\t7\n8\t8\n")
    settings = data(tmp_path)
    corpora = [*settings.train, CorpusConfig(files=Path("c.tsv"))]
    pairs = sample_pairs(corpora, settings, most=most)
    assert pairs.sources == pairs.targets == list(taken)


def test_unequal_line_counts_name_both(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a has 2 lines and .*b has 1\."):
        read(tmp_path, b"x\ny\n", b"x\n")


@pytest.mark.parametrize("empty", ["a", "b"])
def test_empty_file_is_refused(tmp_path: Path, empty: str) -> None:
    with pytest.raises(DataError, match=f"{empty}: the file is empty"):
        read(tmp_path, b"" if empty == "a" else b"x\n", b"" if empty == "b" else b"x\n")


def test_missing_file_and_bad_utf8_name_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="b"):
        (tmp_path / "a").write_bytes(b"x\n")
        read_pairs(CorpusConfig(source=Path("a"), target=Path("b")), data(tmp_path))
    with pytest.raises(DataError, match="line 2"):
        read(tmp_path, b"x\n\xff\n", b"x\ny\n")


def test_pairs_of_a_dev_set_that_are_no_text_are_counted(
    tmp_path: Path, tiny_tokenizer: Tokenizer
) -> None:
    (tmp_path / "c.tsv").write_bytes(b"\xff\tno\nthe house\tdas Haus\n\xff\t\xfe\n")
    settings = replace(data(tmp_path), filters=FilterConfig(encoding=True))
    pairs = read_pairs(CorpusConfig(files=Path("c.tsv")), settings)
    report = encode_corpus(pairs, tiny_tokenizer, max_length=None).report
    assert (report.lines, report.kept, report.dropped) == (3, 1, {"not text": 2})
    (tmp_path / "c.tsv").write_bytes(b"\xff\tno\n")
    pairs = read_pairs(CorpusConfig(files=Path("c.tsv")), settings)
    with pytest.raises(DataError, match=r"none of 1 pairs is left: 1 not text\. Check"):
        encode_corpus(pairs, tiny_tokenizer, max_length=None)


def test_tsv_line_without_tab_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.tsv").write_bytes(b"eins\tone\nzwei two\n")
    with pytest.raises(DataError, match="line 2: no tab"):
        read_pairs(CorpusConfig(files=Path("c.tsv")), data(tmp_path))


def test_blank_and_long_pairs_are_left_out_and_counted(tiny_tokenizer: Tokenizer) -> None:
    pairs = TextPairs(
        sources=["the house", "", "a dog", "the " * 40],
        targets=["das Haus", "leer", " ", "der " * 40],
    )
    corpus = encode_corpus(pairs, tiny_tokenizer, max_length=30)
    report = corpus.report
    assert corpus.pairs.sources == ["the house"]
    assert (report.lines, report.kept, report.dropped) == (4, 1, {"blank": 2, "too long": 1})
    assert tiny_tokenizer.decode(corpus.sources[0].tolist()) == "the house"
    assert report.describe("train").startswith("train: 4 lines, dropped 2 blank, 1 too long;")


def test_nothing_left_says_why(tiny_tokenizer: Tokenizer) -> None:
    pairs = TextPairs(sources=["", "the house"], targets=["x", "das Haus " * 9])
    with pytest.raises(DataError, match="1 blank, 1 with more than 5 pieces"):
        encode_corpus(pairs, tiny_tokenizer, max_length=5)


@pytest.mark.parametrize(
    ("lines", "held"), [(3, [0]), (120, [0, 60]), (200_000, list(range(0, 200_000, 200)))]
)
def test_pairs_are_held_out_at_even_distances(lines: int, held: list[int]) -> None:
    pairs = TextPairs(
        sources=[f"s{i}" for i in range(lines)], targets=[f"t{i}" for i in range(lines)]
    )
    most, few = hold_out(pairs)
    assert few.sources == [f"s{i}" for i in held]
    assert few.targets == [f"t{i}" for i in held]
    assert sorted(most.sources + few.sources) == sorted(pairs.sources)
    assert [t.replace("t", "s") for t in most.targets] == most.sources
