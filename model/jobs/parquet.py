"""Parquet: reads a text column, and writes the table with a column of translations."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from model.errors import DataError
from model.io.compression import open_binary
from model.jobs.formats import TRANSLATION

if TYPE_CHECKING:
    from pyarrow import Schema
    from pyarrow.parquet import ParquetFile

_ROWS = 1 << 16
"""Rows that are read at once, and written as one row group."""


def count_rows(path: Path) -> int:
    """Count the rows of a file.

    Raises:
        DataError: it is missing or not Parquet.
    """
    with open_parquet(path) as file:
        return int(file.metadata.num_rows)


def column_values(path: Path, column: str, *, of_text: bool = True) -> Iterator[bytes | None]:
    """The values of a column as bytes, meant to be UTF-8; None where there is none.

    Args:
        of_text: whether it must hold strings; others are written as strings here.

    Raises:
        DataError: the file is missing, damaged or not Parquet, has no such column of strings, or
            two columns of one name.
    """
    import pyarrow

    with open_parquet(path) as file:
        if of_text:
            check_text_column(str(path), file.schema_arrow, column)
        for batch in file.iter_batches(_ROWS, columns=[column]):
            # Not as strings: values that are not UTF-8 are up to the caller.
            yield from batch.column(0).cast(pyarrow.string()).cast(pyarrow.binary()).to_pylist()


def write_translated(source: Path, translations: Iterator[str | None], output: BinaryIO) -> None:
    """Write the table of `source` with the column "translation", replacing any of that name.

    Raises:
        DataError: see `column_values`.
    """
    import pyarrow
    import pyarrow.parquet

    with open_parquet(source) as file:
        kept = [name for name in file.schema_arrow.names if name != TRANSLATION]
        schema = pyarrow.schema(
            [*map(file.schema_arrow.field, kept), pyarrow.field(TRANSLATION, pyarrow.string())],
            file.schema_arrow.metadata,
        )
        with pyarrow.parquet.ParquetWriter(output, schema) as writer:
            for batch in file.iter_batches(_ROWS, columns=kept):
                found = pyarrow.array([next(translations) for _ in range(len(batch))], "string")
                writer.write_batch(
                    pyarrow.record_batch([*map(batch.column, kept), found], schema=schema)
                )


def check_text_column(path: str, schema: "Schema", column: str) -> None:
    """Check that a table has one column of this name, of strings; `path` names it in messages.

    Raises:
        DataError: it has not, or two columns of any name.
    """
    from pyarrow import types

    if column not in schema.names:
        raise DataError(
            f"{path}: no column {column!r}, only {', '.join(schema.names)}. Name one with --field."
        )
    twins = {name for name in schema.names if schema.names.count(name) > 1} - {TRANSLATION}
    if twins or schema.names.count(column) > 1:
        raise DataError(
            f"{path}: several columns are called {min(twins, default=column)!r}. Rename all but "
            "one of them."
        )
    kind = schema.field(column).type
    value = kind.value_type if types.is_dictionary(kind) else kind
    if not (types.is_string(value) or types.is_large_string(value) or types.is_string_view(value)):
        raise DataError(
            f"{path}: column {column!r} holds {kind}, not strings. Name another one with --field."
        )


@contextmanager
def open_parquet(path: Path) -> Iterator["ParquetFile"]:
    """Open a file.

    Raises:
        DataError: it is missing or not Parquet, or the block finds it damaged.
    """
    import pyarrow
    import pyarrow.parquet

    with open_binary(path) as stream:
        try:
            with pyarrow.parquet.ParquetFile(stream) as file:
                yield file
        except (pyarrow.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # not one of Arrow's
                raise
            reason = str(error).splitlines()[0].rstrip(".")
            raise DataError(
                f"{path}: not Parquet, or damaged ({reason}). Check the file."
            ) from error
