"""Archive: the files of a checkpoint in one file, a zip that stores them as they are.

The same files give the same bytes: names are sorted, and no entry has a time or an owner. A reader
may be handed any file. Only what `archive_bytes` writes is accepted, so reading takes no more
memory than the caller allows.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from model.checkpoint.bounded_read import check_size, open_regular, read_bounded
from model.errors import CheckpointError
from model.io.compression import ZIP_DAMAGE

SUFFIX = ".dragoman"
"""What the name of a pack ends in."""

MOST_FILES = 20
"""The most files of an archive; those of a checkpoint are ten."""

_END = 22
"""Bytes of the record at the end of a zip without a comment."""
_DIRECTORY_BYTES = 2**14
"""Room for the entries of `MOST_FILES` files in the list at the end."""
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can state
_UNIX, _READABLE = 3, 0o100644 << 16


def archive_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return the archive of `files`, given by their names."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _FIRST_DAY)
            entry.create_system, entry.external_attr = _UNIX, _READABLE
            archive.writestr(entry, files[name])
    return out.getvalue()


def read_file(path: Path, name: str, most: int) -> bytes:
    """Read one file of the directory or archive `path`, with at most `most` bytes.

    Raises:
        CheckpointError: the file is missing or larger, or no regular file; or `path` is no
            archive of this kind, or damaged.
    """
    if path.is_dir():
        return read_bounded(path / name, most)
    with open_regular(path) as file, _opened(file, path) as archive:
        try:
            entry = archive.getinfo(name)
        except KeyError as error:
            raise CheckpointError(f"{path / name}: missing. {_AGAIN}") from error
        check_size(path / name, entry.file_size, most)
        try:
            return archive.read(entry)
        except ZIP_DAMAGE as error:
            raise _damaged(path, error) from error


def sizes_in_archive(path: Path) -> dict[str, int]:
    """Tell the bytes of each file of the archive `path`.

    Raises:
        CheckpointError: it is no archive of this kind, or damaged.
    """
    with open_regular(path) as file, _opened(file, path) as archive:
        return {entry.filename: entry.file_size for entry in archive.infolist()}


_AGAIN = "Copy the pack again, or make it again with dragoman-pack."


def _opened(file: BinaryIO, path: Path) -> zipfile.ZipFile:
    """Read the list of entries, which is refused before it is read if it is too large."""
    if not _ends_plainly(file):
        raise CheckpointError(
            f"{path}: neither a run nor a pack. Give the output directory of dragoman-train, one "
            "of its checkpoints, or a file that dragoman-pack wrote."
        )
    try:
        archive = zipfile.ZipFile(file)
    except ZIP_DAMAGE as error:
        raise _damaged(path, error) from error
    entries = archive.infolist()
    if len(entries) > MOST_FILES:  # the number at the end of the file is what it says, no more
        raise _damaged(path, f"{len(entries)} files, more than {MOST_FILES}")
    if entries and min(entry.header_offset for entry in entries) > 0:
        raise _damaged(path, "something stands before the first file")
    if len({entry.filename for entry in entries}) < len(entries):
        raise _damaged(path, "a file occurs twice")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise _damaged(path, f"{entry.filename!r} is compressed")
    return archive


def _ends_plainly(file: BinaryIO) -> bool:
    """Tell whether the file ends as `archive_bytes` ends: few entries, no comment, no ZIP64.

    `zipfile` would otherwise read a list of any size.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(size - _END - 20, 0))
    tail = file.read()
    before, end = tail[:-_END], tail[-_END:]
    if len(end) < _END or end[:4] != b"PK\5\6" or end[20:] != b"\0\0":
        return False
    if before.startswith(b"PK\6\7"):  # then the numbers below stand elsewhere, as ZIP64
        return False
    count, directory = int.from_bytes(end[10:12], "little"), int.from_bytes(end[12:16], "little")
    return 1 <= count <= MOST_FILES and directory <= _DIRECTORY_BYTES


def _damaged(path: Path, what: object) -> CheckpointError:
    return CheckpointError(f"{path}: damaged: {what}. {_AGAIN}")
