"""Compression: gzip and zstd files are decompressed when read and compressed when written.

The suffix of the file name decides: `.gz`, `.zst`, or anything else for plain files. A file may
hold several members or frames one after the other, as `cat a.gz b.gz` writes them.
"""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from model.errors import DataError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER = 1 << 17
_CHUNK = 1 << 14
"""Compressed bytes of zstd that are decompressed at once; the result is held in memory."""
_GZIP_LEVEL, _ZSTD_LEVEL = 6, 3

ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError)
"""What `zipfile` raises if one byte of an archive is wrong: it sees bad data, an end too soon, an
unknown method or a password, or seeks a place before the beginning."""


def plain_suffix(path: Path) -> str:
    """What the name of a file ends in before .gz or .zst: its format."""
    return (path.with_suffix("") if path.suffix in (".gz", ".zst") else path).suffix


def open_binary(path: Path) -> io.BufferedReader:
    """Open a file for reading its bytes as they are.

    Raises:
        DataError: the file is missing, unreadable or a directory.
    """
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Check the path.") from error
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}). Give a readable file."
        ) from error


@contextmanager
def open_decompressed(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading its decompressed bytes, buffered.

    Raises:
        DataError: as `open_binary`; and, while reading, if gzip or zstd is damaged or incomplete.
    """
    with open_binary(path) as stream:
        if path.suffix == ".gz":
            with _damage_named(path, "gzip", (EOFError, gzip.BadGzipFile, zlib.error)):
                # The buffer splits lines in C, but GzipFile does so in Python.
                yield io.BufferedReader(gzip.GzipFile(fileobj=stream, mode="rb"), _BUFFER)
        elif path.suffix == ".zst":
            import zstandard

            with _damage_named(path, "zstd", (EOFError, zstandard.ZstdError)):
                yield io.BufferedReader(_ZstdReader(stream), _BUFFER)
        else:
            yield stream


@contextmanager
def compressed(raw: BinaryIO, suffix: str) -> Iterator[BinaryIO]:
    """A stream that compresses to `raw`. The same content in the same writes gives equal bytes."""
    if suffix == ".gz":
        with gzip.GzipFile("", "wb", compresslevel=_GZIP_LEVEL, fileobj=raw, mtime=0) as stream:
            yield cast(BinaryIO, stream)
    elif suffix == ".zst":
        import zstandard

        compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
        with compressor.stream_writer(raw, closefd=False) as stream:
            yield stream
    else:
        yield raw


@contextmanager
def _damage_named(path: Path, kind: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise DataError(
            f"{path}: damaged or incomplete {kind} ({error}). Fetch or compress the file again."
        ) from error


class _ZstdReader(io.RawIOBase):
    """Decompresses zstd frames. The reader of zstandard would accept a truncated file as whole.

    Raises:
        EOFError: the file ends within a frame.
    """

    def __init__(self, stream: BinaryIO) -> None:
        import zstandard

        self._stream = stream
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame = self._decompressor.decompressobj()
        self._begun = False  # whether the frame has got any byte
        self._unread = b""  # bytes read that no frame has got yet
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        while not self._ready:
            chunk = self._unread or self._stream.read(_CHUNK)
            if not chunk:
                if self._begun:
                    raise EOFError("the last frame is cut short")
                return 0
            self._ready = memoryview(self._frame.decompress(chunk))
            self._begun, self._unread = True, b""
            if self._frame.eof:
                self._unread = self._frame.unused_data
                self._frame = self._decompressor.decompressobj()
                self._begun = False
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._ready))
        target[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
