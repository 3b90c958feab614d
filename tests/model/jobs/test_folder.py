"""A folder: its rows come back part by part, and what does not fit is refused."""

from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from model.errors import DataError
from model.jobs.folder import FolderPart, ids_digest, read_folder, read_rows
from tests.model.jobs.folders import write_folder


@pytest.fixture
def table(tmp_path: Path) -> pyarrow.Table:
    """2,600 rows in three files, of which parts of 1,024 cut across."""
    return write_folder(tmp_path / "in", [f"text {i}" for i in range(2600)], files=3)


def test_parts_have_all_rows_in_order(table: pyarrow.Table, tmp_path: Path) -> None:
    corpus = read_folder(tmp_path / "in", "text", "id")
    assert (corpus.records, corpus.part_records) == (2600, 1024)
    assert [len(part) for part in corpus.parts] == [1024, 1024, 552]
    assert any(len(part.rows) > 1 for part in corpus.parts)
    again = [FolderPart.from_json(part.to_json()) for part in corpus.parts]
    assert tuple(again) == corpus.parts
    read = [read_rows(part) for part in again]
    assert pyarrow.concat_tables(read).equals(table)
    for part, rows in zip(corpus.parts, read, strict=True):
        assert part.ids == ids_digest([str(one) for one in rows["id"].to_pylist()])


@pytest.mark.parametrize("groups", [0, 1])
def test_files_without_rows_are_one_part_with_their_columns(groups: int, tmp_path: Path) -> None:
    """Parquet without rows may have a group of none, or no group."""
    schema = pyarrow.schema([("id", pyarrow.int32()), ("text", pyarrow.large_string())])
    for name in ("a.parquet", "b.parquet"):
        with pyarrow.parquet.ParquetWriter(tmp_path / name, schema) as writer:
            if groups:
                writer.write_table(schema.empty_table())
    assert pyarrow.parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == groups
    corpus = read_folder(tmp_path, "text", "id")
    assert corpus.records == 0
    (part,) = corpus.parts
    assert (len(part), part.ids) == (0, ids_digest([]))
    assert read_rows(part).equals(schema.empty_table())
    with pytest.raises(DataError, match="no column 'key'"):
        read_folder(tmp_path, "text", "key")


def test_the_digest_is_of_names_and_bytes(table: pyarrow.Table, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    first = read_folder(folder, "text", "id").digest
    (folder / "_SUCCESS").touch()
    (folder / ".0.parquet.crc").touch()
    assert read_folder(folder, "text", "id").digest == first
    (folder / "2.parquet").rename(folder / "3.parquet")
    second = read_folder(folder, "text", "id").digest
    pyarrow.parquet.write_table(table.slice(0, 1), folder / "0.parquet")  # another first file
    assert len({first, second, read_folder(folder, "text", "id").digest}) == 3


def bad_folders() -> dict[str, tuple[dict[str, dict[str, list[Any]]], str]]:
    good: dict[str, list[Any]] = {"id": [1, 2], "text": ["a", "b"]}
    return {
        "twins": (
            {"a.parquet": good, "b.parquet": {"id": [3, 2], "text": ["c", "d"]}},
            "the id '2' in column 'id' stands in several rows",
        ),
        "no id": ({"a.parquet": {"id": [1, None], "text": ["a", "b"]}}, r"row 2: .* has no id"),
        "no ids": ({"a.parquet": {"text": ["a"]}}, r"no column 'id'.*--id"),
        "floats": ({"a.parquet": {"id": [0.5], "text": ["a"]}}, "whole numbers or strings"),
        "no text": ({"a.parquet": {"id": [1]}}, "no column 'text'.*--field"),
        "numbers": ({"a.parquet": {"id": [1], "text": [2]}}, "not strings"),
        "score": ({"a.parquet": {**good, "score": [1, 2]}}, "'score' already"),
        "other columns": (
            {"a.parquet": good, "b.parquet": {"id": ["3"], "text": ["c"]}},
            "not those of a.parquet",
        ),
        "another file": ({"a.parquet": good, "b.jsonl": good}, "b.jsonl: is no Parquet file"),
        "a folder": ({"a.parquet": good, "more/b.parquet": good}, "more: is no Parquet file"),
        "nothing": ({}, "no Parquet files"),
    }


@pytest.mark.parametrize("case", bad_folders())
def test_a_folder_that_does_not_fit_is_refused(case: str, tmp_path: Path) -> None:
    files, message = bad_folders()[case]
    for name, columns in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / name)
    with pytest.raises(DataError, match=message):
        read_folder(tmp_path, "text", "id")


def test_a_file_is_no_folder(table: pyarrow.Table, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        read_folder(tmp_path / "in" / "0.parquet", "text", "id")


def test_a_file_that_shrinks_meanwhile_is_told(table: pyarrow.Table, tmp_path: Path) -> None:
    corpus = read_folder(tmp_path / "in", "text", "id")
    pyarrow.parquet.write_table(table.slice(0, 5), tmp_path / "in" / "2.parquet")
    with pytest.raises(DataError, match="has changed"):
        read_rows(corpus.parts[-1])
