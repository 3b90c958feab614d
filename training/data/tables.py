"""Rows of Parquet files and Hugging Face datasets: texts of two columns, and weights."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.errors import DataError
from model.io.compression import open_binary

if TYPE_CHECKING:
    from pyarrow import Array, RecordBatch, Schema, Table

    from training.data.parsing import RawRecord

_ROWS = 1 << 14
"""Rows that are read at once."""


def parquet_rows(path: Path, fields: tuple[str, str, str]) -> Iterator["RawRecord"]:
    """Yield source, target (UTF-8 or null) and weight, if `fields` names one, of each row.

    Raises:
        DataError: the file is missing, damaged or not Parquet, or has no such column.
    """
    import pyarrow
    import pyarrow.parquet

    with open_binary(path) as stream:
        try:
            with pyarrow.parquet.ParquetFile(stream) as file:
                roots = [_root(file.schema_arrow, name, str(path)) for name in fields if name]
                batches = file.iter_batches(_ROWS, columns=list(dict.fromkeys(roots)))
                yield from _rows(batches, fields, str(path))
        except pyarrow.ArrowException as error:
            raise DataError(
                f"{path}: not Parquet, or damaged ({str(error).splitlines()[0].rstrip('.')}). "
                "Check the file."
            ) from error


def dataset_rows(
    name: str, config: str, split: str, fields: tuple[str, str, str]
) -> Iterator["RawRecord"]:
    """Yield the same of a dataset that the library `datasets` loads.

    Raises:
        DataError: it is not installed, knows no such dataset, or the dataset has no such column.
    """
    dataset = _load(name, config, split)
    yield from _rows(dataset.with_format("arrow").iter(batch_size=_ROWS), fields, name)


def count_dataset(name: str, config: str, split: str) -> int:
    """Count the rows of a dataset.

    Raises:
        DataError: see `dataset_rows`.
    """
    return len(_load(name, config, split))


def dataset_files(name: str, config: str, split: str) -> list[Path]:
    """List the files in which the library keeps the dataset; they change when it does.

    Raises:
        DataError: see `dataset_rows`.
    """
    return [Path(file["filename"]) for file in _load(name, config, split).cache_files]


def _load(name: str, config: str, split: str) -> Any:
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"{name}: the library datasets, which loads it, is not installed. Install it with: "
            "pip install datasets"
        ) from None
    try:
        return datasets.load_dataset(name, config or None, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        generating = isinstance(error, datasets.exceptions.DatasetGenerationError)
        cause = error.__cause__ if generating else None  # the cause says what is wrong with a file
        reason = " ".join(str(cause or error).split()).rstrip(".")
        raise DataError(
            f"{name}: datasets cannot load its split {split!r} ({reason}). Check name, "
            "dataset_config and split."
        ) from error


def _rows(
    batches: Iterable["RecordBatch | Table"], fields: tuple[str, str, str], where: str
) -> Iterator["RawRecord"]:
    import pyarrow

    source, target, weight = fields
    for batch in batches:
        columns = [
            # Not as strings: a value that is not UTF-8 is for the caller to judge.
            _text(batch, name, where).cast(pyarrow.string()).cast(pyarrow.binary()).to_pylist()
            for name in (source, target)
        ]
        if weight:
            columns.append(_column(batch, weight, where).cast(pyarrow.float64()).to_pylist())
        yield from zip(*columns, strict=True)


def _text(batch: "RecordBatch | Table", name: str, where: str) -> "Array":
    from pyarrow import types

    column = _column(batch, name, where)
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)):
        raise DataError(f"{where}: column {name!r} holds {column.type}, not strings. Name another.")
    return column


def _column(batch: "RecordBatch | Table", name: str, where: str) -> "Array":
    """A column, or a field of a nested one ("translation.de")."""
    from pyarrow import compute, types

    root = _root(batch.schema, name, where)
    column = batch.column(root)
    for field in name.removeprefix(root).split(".")[1:]:
        names = [part.name for part in column.type] if types.is_struct(column.type) else []
        if field not in names:
            raise DataError(
                f"{where}: no field {field!r} in column {root!r} ({', '.join(names) or 'none'}). "
                "Name one with source_column, target_column or weight_column."
            )
        column = compute.struct_field(column, field)
    return column


def _root(schema: "Schema", name: str, where: str) -> str:
    root = name if name in schema.names else name.partition(".")[0]
    if root not in schema.names:
        raise DataError(
            f"{where}: no column {name!r}, only {', '.join(schema.names)}. Name one of these with "
            "source_column, target_column or weight_column."
        )
    if schema.names.count(root) > 1:
        raise DataError(
            f"{where}: several columns are called {root!r}. Rename all but one of them."
        )
    return root
