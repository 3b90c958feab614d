"""A folder of Parquet files, and what dragoman-translate makes of its rows on one machine."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet


def write_folder(folder: Path, texts: list[str], files: int) -> pyarrow.Table:
    """Write the texts in files of unequal sizes, with ids in no order, and return the table."""
    ids = [(number * 7919) % len(texts) for number in range(len(texts))]
    assert len(set(ids)) == len(texts)
    table = pyarrow.table({"id": ids, "text": texts, "tag": [f"t{one % 5}" for one in ids]})
    folder.mkdir()
    cuts = [len(texts) * (i * i) // (files * files) for i in range(files + 1)]
    for number, (start, end) in enumerate(pairwise(cuts)):
        part = table.slice(start, end - start)
        pyarrow.parquet.write_table(part, folder / f"{number}.parquet", row_group_size=700)
    return table


def write_empty_folder(folder: Path) -> None:
    """Write two files of the same columns, without rows."""
    folder.mkdir()
    columns = {"id": pyarrow.int64(), "text": pyarrow.string(), "tag": pyarrow.string()}
    for number in range(2):
        table = pyarrow.schema(columns).empty_table()
        pyarrow.parquet.write_table(table, folder / f"{number}.parquet")


def check_empty_output(folder: Path) -> None:
    """It must have a manifest, and one file without rows that has all columns."""
    told = json.loads((folder / "_manifest.json").read_text())
    assert (told["records"], told["format"]) == (0, "parquet")
    (file,) = folder.glob("*.parquet")
    assert len(list(folder.iterdir())) == 2
    table = pyarrow.parquet.read_table(file)
    assert table.num_rows == 0
    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == {
        "id": pyarrow.int64(),
        "text": pyarrow.string(),
        "tag": pyarrow.string(),
        "translation": pyarrow.string(),
        "score": pyarrow.float64(),
        "truncated": pyarrow.bool_(),
        "error": pyarrow.string(),
    }


def sorted_rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of a folder by their ids; it must have nothing else in it."""
    names = sorted(path.name for path in folder.iterdir())
    assert names.pop() == "_manifest.json"
    assert all(name.endswith(".parquet") for name in names), names
    tables = [pyarrow.parquet.read_table(folder / name) for name in names]
    rows: list[dict[str, Any]] = pyarrow.concat_tables(tables).sort_by("id").to_pylist()
    return rows


def translated(folder: Path) -> list[tuple[int, str]]:
    """Ids and translations of its rows, by the ids; their other columns must be untouched."""
    rows = sorted_rows(folder)
    assert all(row["tag"] == f"t{row['id'] % 5}" for row in rows)
    return [(row["id"], row["translation"].replace("\n", " ")) for row in rows]
