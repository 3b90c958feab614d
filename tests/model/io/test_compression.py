"""gz and zst: compressed and decompressed like other programs do, and damage is reported."""

import io
from pathlib import Path

import pytest
import zstandard

from model.errors import DataError
from model.io.compression import compressed, open_decompressed
from model.io.lines import atomic_output, read_lines

TEXT = "".join(f"line {number} ä\n" for number in range(20_000)).encode()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def decompressed(path: Path) -> bytes:
    with open_decompressed(path) as stream:
        return stream.read()


def test_zstd_is_read(tmp_path: Path) -> None:
    path = tmp_path / "in.zst"
    # Two frames and an empty one, as `cat a.zst b.zst c.zst` leaves them.
    path.write_bytes(zstd(TEXT[:7]) + zstd(b"") + zstd(TEXT[7:]))
    assert decompressed(path) == TEXT
    assert "".join(f"{line}\n" for line in read_lines(path)).encode() == TEXT
    path.write_bytes(b"")
    assert decompressed(path) == b""


def test_zstd_is_written(tmp_path: Path) -> None:
    path = tmp_path / "out.txt.zst"
    with atomic_output(path) as output:
        output.write(TEXT[:100])
        output.write(TEXT[100:])
    data = path.read_bytes()
    assert len(data) < len(TEXT) / 3
    assert zstandard.ZstdDecompressor().stream_reader(data).read() == TEXT
    other = io.BytesIO()
    with compressed(other, ".zst") as stream:
        stream.write(TEXT[:100])
        stream.write(TEXT[100:])
    assert other.getvalue() == data


@pytest.mark.parametrize("kept", [3, 20, -1])
def test_zstd_cut_short_is_named(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "in.zst"
    path.write_bytes(zstd(TEXT)[:kept])
    with pytest.raises(DataError, match=r"in\.zst: damaged or incomplete zstd \(.*\)\. Fetch"):
        decompressed(path)


def test_damaged_zstd_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in.zst"
    path.write_bytes(b"plain text\n")
    with pytest.raises(DataError, match="damaged or incomplete zstd"):
        decompressed(path)
    data = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(TEXT))
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged or incomplete zstd"):
        decompressed(path)
