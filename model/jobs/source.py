"""Source: the input of a corpus job, its records, their number, and its digest."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from model.io.compression import open_binary
from model.io.lines import read_raw_lines
from model.jobs.formats import FormatName
from model.jobs.parquet import column_values, count_rows


def raw_records(path: Path, form: FormatName, field: str | None) -> Iterator[bytes | None]:
    """The lines of a file, or the values of a Parquet column, not yet decoded.

    Raises:
        DataError: the file cannot be read, or is damaged.
    """
    if form == "parquet":
        assert field
        yield from column_values(path, field)
        return
    yield from read_raw_lines(path)


def count_records(path: Path, form: FormatName) -> int:
    """Count the `raw_records`.

    Raises:
        DataError: as `raw_records`.
    """
    return count_rows(path) if form == "parquet" else sum(1 for _ in raw_records(path, form, None))


def fingerprint(path: Path) -> str:
    """SHA-256 of the bytes of a file as they are on disk.

    Raises:
        DataError: the file cannot be read.
    """
    with open_binary(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
