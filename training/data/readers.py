"""Readers: the files of a corpus in order, as chunks of raw records with their parser.

What a chunk holds is not decoded yet, so that other processes can do that.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path
from typing import Literal, NamedTuple

from model.errors import DataError
from model.io.lines import read_raw_lines
from model.jobs.parquet import count_rows
from training.config.data_config import CorpusConfig, DataConfig
from training.data.parsing import Pair, RawRecord, json_pair, row_pair, text_pair, tsv_pair
from training.data.tables import count_dataset, dataset_files, dataset_rows, parquet_rows

CHUNK = 4096
"""Records in a chunk: enough work to be sent to another process."""

FileKind = Literal["text", "tsv", "jsonl", "parquet"]
_SUFFIXES: dict[str, FileKind] = {
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


class Chunk(NamedTuple):
    """Neighbouring records of one file (or pair of files)."""

    first: int
    """Number of the first record in its file, from 1."""
    raws: list[RawRecord]
    parse: Callable[[int, RawRecord], Pair]
    """Parses a record, given its number; may raise DataError."""


def input_files(corpus: CorpusConfig, data: DataConfig) -> list[Path]:
    """List the files of a corpus.

    Raises:
        DataError: a name means no file, or the two sides have not as many.
    """
    if corpus.dataset:
        return dataset_files(_dataset(corpus, data), corpus.dataset_config, corpus.split)
    return [path for paths in _parts(corpus, data) for path in paths]


def count_pairs(corpus: CorpusConfig, data: DataConfig) -> int:
    """Count the records that `corpus_chunks` yields.

    Raises:
        DataError: a file cannot be read, is empty, or has not as many lines as its counterpart.
    """
    if corpus.dataset:
        return count_dataset(_dataset(corpus, data), corpus.dataset_config, corpus.split)
    return sum(map(count_aligned, _parts(corpus, data)))


def count_aligned(paths: list[Path]) -> int:
    """Records of a file, or of two files whose lines belong together.

    Raises:
        DataError: one cannot be read, is empty, or has not as many lines as the other.
    """
    counts = [_count(path) for path in paths]
    for path, count in zip(paths, counts, strict=True):
        if not count:
            raise DataError(f"{path}: the file is empty. Give it one sentence a line.")
    if len({*counts}) > 1:
        raise DataError(
            f"{paths[0]} has {counts[0]} lines and {paths[1]} has {counts[1]}. "
            "Line i of one must translate line i of the other: align the files."
        )
    return counts[0]


def corpus_chunks(corpus: CorpusConfig, data: DataConfig) -> Iterator[Chunk]:
    """Yield all records in order, without the header of a tsv file with named columns.

    Raises:
        DataError: a file cannot be read, or has no such column.
    """
    if corpus.dataset:
        name = _dataset(corpus, data)
        rows = dataset_rows(name, corpus.dataset_config, corpus.split, _fields(corpus))
        yield from _chunks(rows, partial(row_pair, name=name))
        return
    for paths in _parts(corpus, data):
        first, kind = paths[0], file_kind(paths[0])
        name = str(first)
        if len(paths) == 2:
            names = (name, str(paths[1]))
            yield from _chunks(_aligned(*paths), partial(text_pair, names=names))
        elif kind == "parquet":
            yield from _chunks(parquet_rows(first, _fields(corpus)), partial(row_pair, name=name))
        elif kind == "jsonl":
            yield from _chunks(_lines(first), partial(json_pair, name=name, fields=_fields(corpus)))
        else:
            yield from _tsv_chunks(first, corpus)


def _aligned(source: Path, target: Path) -> Iterator[tuple[bytes, bytes]]:
    """Line by line. They were counted before, so only a file that grows meanwhile can differ."""
    for first, second in zip_longest(read_raw_lines(source), read_raw_lines(target)):
        if first is None or second is None:
            raise DataError(f"{source}, {target}: one changed while it was read. Start again.")
        yield first, second


def _dataset(corpus: CorpusConfig, data: DataConfig) -> str:
    """Return the name of the dataset, or its folder if there is one of that name."""
    folder = data.base() / corpus.dataset
    return str(folder) if folder.exists() else corpus.dataset


def _parts(corpus: CorpusConfig, data: DataConfig) -> Iterator[list[Path]]:
    """List each file with columns, or each source file with its target file."""
    if corpus.files:
        for path in data.paths(corpus.files):
            if file_kind(path) == "text":
                raise DataError(
                    f"{path}: not named .tsv, .jsonl or .parquet. Name text files as source and "
                    "target, line i of one translating line i of the other."
                )
            yield [path]
        return
    sources, targets = data.paths(corpus.source), data.paths(corpus.target)
    if len(sources) != len(targets):
        raise DataError(
            f"{len(sources)} source files, {sources[0]} first, but {len(targets)} target files, "
            f"{targets[0]} first. Give each source file its target file, in the same order."
        )
    yield from map(list, zip(sources, targets, strict=True))


def file_kind(path: Path) -> FileKind:
    """Format of a file, by its name."""
    inner = path.with_suffix("") if path.suffix in (".gz", ".zst") else path
    return _SUFFIXES.get(inner.suffix, "text")


def _count(path: Path) -> int:
    return (
        count_rows(path) if file_kind(path) == "parquet" else sum(1 for _ in read_raw_lines(path))
    )


def _lines(path: Path) -> Iterator[RawRecord]:
    return ((line,) for line in read_raw_lines(path))


def _chunks(
    records: Iterator[RawRecord], parse: Callable[[int, RawRecord], Pair], first: int = 1
) -> Iterator[Chunk]:
    while raws := list(islice(records, CHUNK)):
        yield Chunk(first, raws, parse)
        first += len(raws)


def _fields(corpus: CorpusConfig) -> tuple[str, str, str]:
    """Names of source, target and weight; the last one may be "" for none."""
    source, target = corpus.source_column or "source", corpus.target_column or "target"
    return str(source), str(target), str(corpus.weight_column)


def _tsv_chunks(path: Path, corpus: CorpusConfig) -> Iterator[Chunk]:
    given = [corpus.source_column or 1, corpus.target_column or 2]
    if corpus.weight_column != "":
        given.append(corpus.weight_column)
    columns, has_header = tsv_columns(path, given)
    lines = islice(_lines(path), int(has_header), None)
    parse = partial(tsv_pair, name=str(path), columns=columns)
    yield from _chunks(lines, parse, first=1 + has_header)


def tsv_columns(path: Path, given: Sequence[int | str]) -> tuple[tuple[int, ...], bool]:
    """Find the columns of a tsv file, from 0, and whether its first line is a header.

    It is one if any of the columns `given` is a name, not a number from 1.

    Raises:
        DataError: the file has no such column, or cannot be read.
    """
    header: list[str] = []
    if any(isinstance(column, str) and not column.isdecimal() for column in given):
        header = next(read_raw_lines(path), b"").decode(errors="replace").split("\t")
    return tuple(_tsv_index(path, column, header) for column in given), bool(header)


def _tsv_index(path: Path, column: int | str, header: list[str]) -> int:
    if isinstance(column, int) or column.isdecimal():
        if int(column) < 1:
            raise DataError(f"{path}: column {column} is too small. Columns count from 1.")
        return int(column) - 1
    if column not in header:
        raise DataError(
            f"{path}: no column {column!r} in its first line ({', '.join(header)}). Name one of "
            "these, or give the number of the column."
        )
    return header.index(column)
