"""Parquet in and out: every column comes back, with one of translations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from model.errors import DataError
from model.jobs.parquet import column_values, count_rows, write_translated

Command = Callable[..., Any]  # see conftest.py


def column(path: Path, name: str) -> list[object]:
    """A column as pandas or any other reader sees it."""
    values: list[object] = pyarrow.parquet.read_table(path).column(name).to_pylist()
    return values


@pytest.mark.parametrize("kind", ["string", "large_string", "dictionary"])
def test_a_table_gets_a_column(
    command: Command, tmp_path: Path, texts: list[str], translations: list[str], kind: str
) -> None:
    given, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    values = pyarrow.array(texts)
    values = values.dictionary_encode() if kind == "dictionary" else values.cast(kind)
    numbers = list(range(len(texts)))
    table = pyarrow.table({"id": numbers, "de": values, "translation": numbers})
    pyarrow.parquet.write_table(table, given, row_group_size=77)
    flags = ["--input", given, "--output", output, "--field", "de"]
    for shard in ("2/3", "1/3", "3/3"):
        assert command(*flags, "--shard", shard).status == 0
    assert pyarrow.parquet.read_schema(output).names == ["id", "de", "translation"]
    assert column(output, "id") == numbers
    assert column(output, "de") == texts
    assert [str(one).replace("\n", " ") for one in column(output, "translation")] == translations
    whole = tmp_path / "whole.parquet"
    assert command("--input", given, "--output", whole, "--field", "de").status == 0
    assert whole.read_bytes() == output.read_bytes()


def test_no_value_has_no_translation(command: Command, tmp_path: Path) -> None:
    given, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    table = pyarrow.table({"text": ["der Hund", None, "", "a\nb"]})
    pyarrow.parquet.write_table(table, given)
    assert command("--input", given, "--output", output).status == 0
    first, second, third, fourth = column(output, "translation")
    assert isinstance(first, str) and isinstance(fourth, str)
    assert (second, third) == (None, "")


def test_a_table_without_rows(command: Command, tmp_path: Path) -> None:
    given, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": pyarrow.array([], "string")}), given)
    assert command("--input", given, "--output", output).status == 0
    assert pyarrow.parquet.read_schema(output).names == ["text", "translation"]
    assert count_rows(output) == 0


def test_a_value_that_is_not_utf8_is_given_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    raw = pyarrow.array([b"gut", b"Ma\xffn", None], pyarrow.binary())
    values = pyarrow.Array.from_buffers(pyarrow.string(), 3, raw.buffers())
    pyarrow.parquet.write_table(pyarrow.table({"text": values}), path)
    assert list(column_values(path, "text")) == [b"gut", b"Ma\xffn", None]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("id", "column 'id' holds int64, not strings. Name another one with --field."),
        ("de", "no column 'de', only id, text. Name one with --field."),
    ],
)
def test_a_wrong_column_is_named(tmp_path: Path, name: str, message: str) -> None:
    path = tmp_path / "in.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"id": [1], "text": ["a"]}), path)
    with pytest.raises(DataError) as error:
        list(column_values(path, name))
    assert str(error.value) == f"{path}: {message}"


@pytest.mark.parametrize("data", [b"", b"no Parquet at all", b"PAR1" + bytes(40) + b"PAR1"])
def test_what_is_not_parquet_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "in.parquet"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"in\.parquet: not Parquet, or damaged \("):
        count_rows(path)


def test_a_full_disk_is_not_taken_for_damage(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a" * 100] * 1000}), path)
    with pytest.raises(OSError, match="No space left"), open("/dev/full", "wb", buffering=0) as out:
        write_translated(path, iter(["b"] * 1000), out)
