"""Files and streams as lines of text: what ends a line, what is refused, how output is written."""

import errno
import gzip
import io
import os
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from model.errors import DataError

_BOM = b"\xef\xbb\xbf"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, unpacked if its name ends in `.gz`; see `iter_lines`.

    Errors show when the first line is asked for, or when the damaged place is reached.

    Raises:
        DataError: the file is missing, unreadable, a directory, damaged gzip or not UTF-8.
    """
    try:
        stream = path.open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Check the path.") from error
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}). Give a readable file."
        ) from error
    with stream:
        if path.suffix != ".gz":
            yield from iter_lines(stream, str(path))
            return
        try:
            # The buffer splits lines in C, GzipFile in Python.
            unpacked = io.BufferedReader(gzip.GzipFile(fileobj=stream, mode="rb"), 1 << 17)
            yield from iter_lines(unpacked, str(path))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                f"{path}: damaged or incomplete gzip ({error}). Fetch or compress the file again."
            ) from error


def iter_lines(stream: BinaryIO, name: str) -> Iterator[str]:
    """The lines of a UTF-8 stream, each as soon as it has arrived. `name` is for messages.

    A line ends at LF, and a CR right before it belongs to the ending; every other character,
    U+2028 and a lone CR among them, is part of the line. A byte order mark at the start is dropped.
    A last line without LF counts.

    Raises:
        DataError: a line is not UTF-8; the message names it.
    """
    for number, raw in enumerate(stream, 1):
        if number == 1 and raw.startswith(_BOM):
            raw = raw[len(_BOM) :]
            if not raw:  # a file of a mark alone has no lines
                return
        if raw.endswith(b"\n"):
            raw = raw[:-2] if raw.endswith(b"\r\n") else raw[:-1]
        try:
            line = raw.decode()
        except UnicodeDecodeError as error:
            column = len(raw[: error.start].decode()) + 1
            raise DataError(
                f"{name}, line {number}: not valid UTF-8 (byte 0x{raw[error.start]:02x} at column "
                f"{column}). Convert the file to UTF-8."
            ) from error
        yield line


@contextmanager
def atomic_output(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, that appears under its name when it is complete, or not at all.

    The bytes go to a temporary file beside `path`, compressed if the name ends in `.gz` (equal
    content gives equal bytes). When the block ends they are forced to disk and renamed; when it
    raises, they are removed and what stood at `path` stays. Devices and pipes are written directly.

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
            if path.suffix == ".gz":
                with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield raw
            raw.flush()
            if not direct:
                os.fsync(raw.fileno())
        if not direct:
            written.replace(target)
    except BaseException as error:
        if not direct:
            written.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL:
            raise DataError(
                f"{path}: cannot be written ({error.strerror}). Make room or give another place."
            ) from error
        raise
