"""Lines: files and streams as lines of text, and output that appears only when complete."""

import errno
import io
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from model.errors import DataError
from model.io.compression import compressed, open_decompressed
from model.text.charset import LOOKED_AT, refuse_foreign

_BOM = b"\xef\xbb\xbf"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, decompressed if its name ends in `.gz` or `.zst`.

    For what a line is, see `iter_lines`. Errors are raised when the first line is read, or when the
    damaged place is reached.

    Raises:
        DataError: the file is missing, unreadable, a directory, damaged gzip or zstd, or not UTF-8.
    """
    with open_decompressed(path) as stream:
        yield from iter_lines(stream, str(path))


def read_raw_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, decompressed like those of `read_lines`, but not decoded.

    Raises:
        DataError: as `read_lines`, except for lines that are not UTF-8.
    """
    with open_decompressed(path) as stream:
        yield from iter_raw_lines(stream, str(path))


def iter_lines(stream: BinaryIO, name: str) -> Iterator[str]:
    """The lines of a UTF-8 stream, each as soon as it has arrived. `name` is for messages.

    For what a line is, see `iter_raw_lines`.

    Raises:
        DataError: a line is not UTF-8; the message names it.
    """
    for number, raw in enumerate(iter_raw_lines(stream, name), 1):
        try:
            yield decode_line(raw)
        except DataError as error:
            raise DataError(f"{name}, line {number}: {error}") from error


def iter_raw_lines(stream: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The lines of a stream, or of anything that yields them, without their endings, not decoded.

    A line ends at LF, and a CR right before it belongs to the ending; every other character,
    U+2028 and a lone CR among them, is part of the line. A byte order mark at the start is dropped.
    A last line without LF counts.

    Raises:
        DataError: the stream cannot be read, or is in UTF-16 or UTF-32, whose lines may all look
            like UTF-8.
    """
    start = b""
    for number, raw in enumerate(_read(stream, name)):
        if len(start) < LOOKED_AT:
            start += raw
            try:
                refuse_foreign(start)
            except DataError as error:
                raise DataError(f"{name}: {error}") from error
        if number == 0 and raw.startswith(_BOM):
            raw = raw[len(_BOM) :]
            if not raw:  # a file with nothing but a mark has no lines
                return
        if raw.endswith(b"\n"):
            raw = raw[:-2] if raw.endswith(b"\r\n") else raw[:-1]
        yield raw


def _read(stream: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The lines of a stream with their endings.

    Raises:
        DataError: the system refuses to read it, as it does where standard input is closed.
    """
    try:
        yield from stream
    except OSError as error:
        if error.errno is None:  # damaged gzip, which the caller names
            raise
        raise DataError(
            f"{name}: cannot be read ({error.strerror}). Give something readable."
        ) from error


def decode_line(raw: bytes) -> str:
    """Decode a line.

    Raises:
        DataError: it is not UTF-8; the message says where in the line.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        column = len(raw[: error.start].decode()) + 1
        raise DataError(
            f"not valid UTF-8 (byte 0x{raw[error.start]:02x} at column {column}). "
            "Convert the file to UTF-8."
        ) from error


def whole_text(raw: bytes, name: str) -> str:
    """Decode a small file, such as a configuration, with LF for every line ending.

    Raises:
        DataError: as `iter_lines`.
    """
    return "".join(f"{line}\n" for line in iter_lines(io.BytesIO(raw), name))


@contextmanager
def atomic_output(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name when it is complete, or not at all.

    The bytes go to a temporary file beside `path`, compressed if the name ends in `.gz` or `.zst`
    (equal content gives equal bytes). When the block ends, the file is synced to disk and renamed,
    and the new name is synced, too; if the block raises, it is removed and `path` is unchanged.
    Devices and pipes are written directly.

    Raises:
        DataError: the directory is missing or not writable, `path` is a directory, or the disk is
            full.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a directory. Give a file name.")
    direct = path.exists() and not path.is_file()
    target = Path(os.path.realpath(path))  # a link stays a link
    written = path if direct else target.with_name(f".dragoman-{secrets.token_hex(6)}.tmp")
    try:
        raw = written.open("wb" if direct else "xb")
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}). Give a name in an existing directory "
            "that you may write to."
        ) from error
    try:
        with raw:
            if not direct and target.exists():  # who may read it stays as it was
                os.fchmod(raw.fileno(), stat.S_IMODE(target.stat().st_mode))
            with compressed(raw, path.suffix) as stream:
                yield stream
            raw.flush()
            if not direct:
                os.fsync(raw.fileno())
        if not direct:
            written.replace(target)
            sync_directory(target.parent)
    except BaseException as error:
        if not direct:
            written.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL:
            raise DataError(
                f"{path}: cannot be written ({error.strerror}). Make room or give another place."
            ) from error
        raise


def sync_directory(directory: Path) -> None:
    """Sync the names in a directory to disk, so that a later rename cannot become visible first."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
