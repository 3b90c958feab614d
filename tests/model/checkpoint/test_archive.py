"""Archives: the same files give the same bytes, and nothing else than such archives is read."""

import io
import os
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from model.checkpoint.archive import MOST_FILES, archive_bytes, read_file, sizes_in_archive
from model.errors import CheckpointError

FILES = {"b.txt": b"second", "a.txt": b"first", "c.bin": bytes(range(256))}
MOST = 1000


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "some.dragoman"
    path.write_bytes(archive_bytes(FILES))
    return path


def zip_of(*entries: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def test_files_come_back_and_are_what_unzip_finds(archive: Path) -> None:
    assert {name: read_file(archive, name, MOST) for name in FILES} == FILES
    assert sizes_in_archive(archive) == {name: len(content) for name, content in FILES.items()}
    with zipfile.ZipFile(archive) as found:
        assert found.testzip() is None
        assert found.namelist() == sorted(FILES)


def test_the_order_of_files_does_not_change_the_bytes() -> None:
    assert archive_bytes(FILES) == archive_bytes(dict(reversed(FILES.items())))


def test_a_file_that_is_too_large_or_missing_is_refused(archive: Path) -> None:
    with pytest.raises(CheckpointError, match=r"c.bin: 256 bytes, but at most 255"):
        read_file(archive, "c.bin", 255)
    with pytest.raises(CheckpointError, match=r"some.dragoman/d.txt: missing"):
        read_file(archive, "d.txt", MOST)


REFUSED: dict[str, bytes] = {
    "nothing": b"",
    "text": b"Guten Morgen! " * 10,
    "an empty zip": zip_of(),
    "too many files": zip_of(*((f"{i}", b"") for i in range(MOST_FILES + 1))),
    "a long list": zip_of(*((f"{i}" * 3000, b"") for i in range(MOST_FILES))),
    "compressed": zip_of(("a.txt", b"x" * 10**6), compression=zipfile.ZIP_DEFLATED),
    "a comment": archive_bytes(FILES)[:-2] + struct.pack("<H", 3) + b"abc",
    "a ZIP64 locator": archive_bytes(FILES)[:-22]
    + (b"PK\6\7" + bytes(16))
    + archive_bytes(FILES)[-22:],
}


MANY = zip_of(*((f"{i}", b"") for i in range(MOST_FILES + 1)))
REFUSED |= {
    "something before it": b"#!/bin/sh\necho no\n" + archive_bytes(FILES),
    "more files than its end says": MANY[:-14] + struct.pack("<HH", 5, 5) + MANY[-10:],
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_files_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "other.dragoman"
    path.write_bytes(REFUSED[name])

    with pytest.raises(CheckpointError) as refusal:
        read_file(path, "a.txt", MOST)

    assert str(refusal.value).startswith(str(path))
    assert "missing" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.dragoman"
    with pytest.warns(UserWarning, match="Duplicate name"):
        path.write_bytes(zip_of(("a.txt", b"1"), ("a.txt", b"2")))

    with pytest.raises(CheckpointError, match="a file occurs twice"):
        read_file(path, "a.txt", MOST)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_refused_without_waiting(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "pipe.dragoman")

    with pytest.raises(CheckpointError, match="not a regular file"):
        read_file(tmp_path / "pipe.dragoman", "a.txt", MOST)


def test_damage_is_refused_or_does_not_matter(tmp_path: Path) -> None:
    """Whatever byte is changed or wherever the file ends, the content or an error comes back."""
    whole, rng, path = archive_bytes(FILES), random.Random(0), tmp_path / "damaged.dragoman"
    refused = 0
    for place in range(len(whole)):
        for content in (whole[:place], _changed(whole, place, rng.randrange(1, 256))):
            path.write_bytes(content)
            for name, expected in FILES.items():
                try:
                    assert read_file(path, name, MOST) == expected
                except CheckpointError:
                    refused += 1
    assert refused > len(whole)


def _changed(content: bytes, place: int, mask: int) -> bytes:
    return content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]
