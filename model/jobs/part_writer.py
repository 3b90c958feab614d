"""Part writer: translates a part of a folder in whatever process it is called, and writes its file.

A part is written under its final name when it is complete. Its rows depend on nothing but the
corpus, so a part that is done again, since an engine believed it lost, is the same.
"""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model.errors import DataError, DragomanError
from model.io.lines import atomic_output
from model.jobs.batch import BatchTranslator
from model.jobs.folder import FolderPart, read_rows
from model.jobs.parquet import open_parquet

PART = "part"
"""The column of what `PartWriter` is given: the JSON of a `FolderPart`."""

_KEY = b"dragoman"


@dataclass(frozen=True, slots=True)
class PartCounts:
    """What is told of a finished part, besides its rows."""

    ids: str
    """The digest of its ids."""
    truncated: int
    set_aside: int


class PartWriter:
    """Writes parts into the folder of a job; it can be pickled."""

    def __init__(self, translator: BatchTranslator, folder: Path, key: str) -> None:
        """
        Args:
            folder: the folder of the parts, as all machines see it.
            key: that of the job's manifest.
        """
        self._translator = translator
        self.folder = folder
        self._key = key

    def __call__(self, row: Mapping[str, str]) -> dict[str, int | str]:
        """Translate a part, unless it is done.

        A mistake of the user is no exception here, since each engine wraps those in its own way.

        Args:
            row: a `FolderPart` in the column `PART`.

        Returns:
            `number` and `rows` of the part, and `error`, which is "" unless it failed.
        """
        part = FolderPart.from_json(row[PART])
        error = ""
        try:
            if self.done(part) is None:
                self._write(part)
        except DragomanError as mistake:
            error = f"{socket.gethostname()}: {mistake}"
        return {"number": part.number, "rows": len(part), "error": error}

    def path(self, part: FolderPart) -> Path:
        """The file of a part."""
        return self.folder / f"{part.number:08d}-{self._key}.parquet"

    def attempts(self, part: FolderPart) -> int:
        """How many times the part was begun."""
        path = self._attempts(part)
        return path.stat().st_size if path.exists() else 0

    def done(self, part: FolderPart) -> PartCounts | None:
        """What is told of the part if it is finished: its file has exactly the ids of its rows.

        Raises:
            DataError: the file is damaged.
        """
        path = self.path(part)
        if not path.exists():
            return None
        with open_parquet(path) as file:
            told = PartCounts(**json.loads(file.schema_arrow.metadata[_KEY]))
        return told if told.ids == part.ids else None

    def _attempts(self, part: FolderPart) -> Path:
        return self.folder / f"{part.number:08d}.attempts"

    def _count_attempt(self, part: FolderPart) -> None:
        try:
            with self._attempts(part).open("ab") as file:
                file.write(b".")
        except OSError as error:
            raise DataError(
                f"{self.folder}: cannot be written ({error.strerror}). Every machine must see "
                "the output under the same path, and be allowed to write there."
            ) from error

    def _write(self, part: FolderPart) -> None:
        import pyarrow.compute
        import pyarrow.parquet

        table = read_rows(part)
        self._count_attempt(part)
        translated = self._translator(table)
        counts = {
            "ids": part.ids,
            "truncated": pyarrow.compute.sum(translated["truncated"]).as_py() or 0,
            "set_aside": len(translated) - translated["error"].null_count,
        }
        told = {**(translated.schema.metadata or {}), _KEY: json.dumps(counts).encode()}
        with atomic_output(self.path(part)) as output:
            pyarrow.parquet.write_table(translated.replace_schema_metadata(told), output)
