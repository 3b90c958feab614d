"""Folder: a corpus of Parquet files, and the parts that its translation is divided into.

Its rows are those of all files, one after the other in the order of their names.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model.errors import DataError
from model.jobs.batch import check_columns
from model.jobs.manifest import part_size
from model.jobs.parquet import column_values, open_parquet
from model.jobs.source import fingerprint
from model.jobs.unique_ids import UniqueIds
from model.translator import windows

if TYPE_CHECKING:
    from pyarrow import Schema, Table


@dataclass(frozen=True, slots=True)
class Rows:
    """Neighbouring rows of a file."""

    file: str
    first: int
    """Counted from 0."""
    count: int


@dataclass(frozen=True, slots=True)
class FolderPart:
    """Rows that are translated together, and become a file of the output."""

    number: int
    rows: tuple[Rows, ...]
    ids: str
    """SHA-256 of the ids of the rows: what is done is known by them."""

    def __len__(self) -> int:
        return sum(rows.count for rows in self.rows)

    def to_json(self) -> str:
        """A text for `from_json`, in another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "FolderPart":
        """Parse what `to_json` wrote."""
        fields = json.loads(text)
        return cls(fields["number"], tuple(Rows(**one) for one in fields["rows"]), fields["ids"])


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderCorpus:
    """What is known of all files of a folder, before any is translated."""

    digest: str
    """SHA-256 of the names and the SHA-256 of all files."""
    records: int
    part_records: int
    parts: tuple[FolderPart, ...]


def read_folder(folder: Path, field: str, id_column: str) -> FolderCorpus:
    """Look through a folder: its files, their columns, and whether its ids are unique.

    If its files have no rows there is one part without any, so that the output has the columns.

    Each file is read once, and the ids a second time; memory grows only with the number of files
    and parts.

    Raises:
        DataError: there is no such folder, or something else than Parquet files with equal columns
            in it; a column is missing or holds something else, or an id is missing or stands in
            two rows.
    """
    files = _files(folder)
    counts, digest = [], hashlib.sha256()
    schema: Schema | None = None
    for file in files:
        with open_parquet(file) as opened:
            counts.append(int(opened.metadata.num_rows))
            now = opened.schema_arrow
        schema = schema or now
        if not now.equals(schema):
            raise DataError(
                f"{file}: its columns are not those of {files[0].name}. Give all files the same "
                "columns, in the same order and of the same types."
            )
        check_columns(str(file), now, field)
        digest.update(f"{file.name}\0{fingerprint(file)}\n".encode(errors="surrogateescape"))
    size = part_size(sum(counts))
    digests = _check_ids(folder, files, id_column, size)
    rows = _parts(files, counts, size)
    parts = tuple(
        FolderPart(number, one, ids)
        for number, (one, ids) in enumerate(zip(rows, digests, strict=True))
    )
    return FolderCorpus(
        digest=digest.hexdigest(), records=sum(counts), part_records=size, parts=parts
    )


def read_rows(part: FolderPart) -> "Table":
    """The rows of a part.

    Raises:
        DataError: a file cannot be read, or has changed.
    """
    import pyarrow

    tables = [_read(rows) for rows in part.rows]
    return tables[0] if len(tables) == 1 else pyarrow.concat_tables(tables)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(
            f"{folder}: is not a folder. An engine reads the Parquet files of a folder; a single "
            "file needs no engine."
        )
    # Names that begin so are no data to Arrow and Spark either, such as _SUCCESS.
    found = sorted(path for path in folder.iterdir() if path.name[0] not in "._")
    for path in found:
        if path.suffix != ".parquet" or not path.is_file():
            raise DataError(f"{path}: is no Parquet file. Move it out of the folder.")
    if not found:
        raise DataError(f"{folder}: has no Parquet files. Give a folder with some.")
    return found


def _parts(files: list[Path], counts: list[int], size: int) -> Iterator[tuple[Rows, ...]]:
    """Cut the rows of all files, one after the other, into parts of `size`, at least one."""
    if not sum(counts):
        yield (Rows(str(files[0].absolute()), 0, 0),)
    found: list[Rows] = []
    room = size
    for file, count in zip(files, counts, strict=True):
        first = 0
        while first < count:
            taken = min(room, count - first)
            found.append(Rows(str(file.absolute()), first, taken))
            first, room = first + taken, room - taken
            if not room:
                yield tuple(found)
                found, room = [], size
    if found:
        yield tuple(found)


def _check_ids(folder: Path, files: list[Path], column: str, size: int) -> list[str]:
    """The digest of the ids of each part; of no ids if there are no rows."""
    digests = []
    with UniqueIds() as unique:
        for ids in windows(_ids(files, column), size):
            unique.add(ids)
            digests.append(ids_digest(ids))
        twins = unique.repeated(lambda: windows(_ids(files, column), size))
    if twins:
        raise DataError(
            f"{folder}: the id {twins[0]!r} in column {column!r} stands in several rows"
            + (f", and so do others, such as {twins[1]!r}" if twins[1:] else "")
            + ". Give each row an id of its own, or name another column with --id."
        )
    return digests or [ids_digest([])]


def ids_digest(ids: list[str]) -> str:
    """SHA-256 of the ids of a part, in their order."""
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()


def _ids(files: list[Path], column: str) -> Iterator[str]:
    for file in files:
        _check_id_column(file, column)
        for number, one in enumerate(column_values(file, column, of_text=False), 1):
            if one is None:
                raise DataError(
                    f"{file}, row {number}: column {column!r} has no id. Give each row one."
                )
            yield one.decode(errors="backslashreplace")


def _check_id_column(file: Path, column: str) -> None:
    from pyarrow import types

    with open_parquet(file) as opened:
        schema = opened.schema_arrow
    if schema.names.count(column) != 1:
        raise DataError(
            f"{file}: no column {column!r}, or several, only {', '.join(schema.names)}. Name the "
            "column of ids with --id."
        )
    kind = schema.field(column).type
    if not (types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind)):
        raise DataError(
            f"{file}: column {column!r} holds {kind}, but ids are whole numbers or strings. Name "
            "another one with --id."
        )


def _read(rows: Rows) -> "Table":
    import pyarrow

    with open_parquet(Path(rows.file)) as file:
        start, skipped, groups = 0, 0, []
        for group in range(file.metadata.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if start + count > rows.first and start < rows.first + rows.count:
                groups.append(group)
            elif not groups:
                skipped = start + count
            start += count
        if start < rows.first + rows.count:
            raise DataError(f"{rows.file}: has changed since the job began. Begin anew.")
        batches, place = [], skipped
        for batch in file.iter_batches(row_groups=groups):
            begin = max(rows.first - place, 0)
            batches.append(batch.slice(begin, max(rows.first + rows.count - place - begin, 0)))
            place += len(batch)
            if place >= rows.first + rows.count:
                break
        return pyarrow.Table.from_batches(batches, schema=file.schema_arrow)
