"""Lines of archives: whatever a damaged one makes zipfile raise is one message with what to do."""

import io
import random
import zipfile
from pathlib import Path

import pytest

from model.errors import DataError
from training.corpora.archive import archived_lines

MEMBER = "deu.txt"


def archive() -> bytes:
    rng, buffer = random.Random(1), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(MEMBER, "".join(f"{rng.random()}\n" for _ in range(300)))
    return buffer.getvalue()


WHOLE = archive()
DIRECTORY = WHOLE.index(b"PK\x01\x02")
END = WHOLE.index(b"PK\x05\x06")


def changed(position: int, value: int) -> bytes:
    """The archive with one wrong byte."""
    found = bytearray(WHOLE)
    found[position] = value
    return bytes(found)


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        (WHOLE[:END], "not a zip file"),
        (changed(28, 99), "while decompressing"),
        (changed(29, 99), "it ends too soon"),
        (changed(DIRECTORY + 6, 99), "zip file version 9.9"),
        (changed(DIRECTORY + 8, 1), "is encrypted"),
        (changed(END + 19, 127), "Invalid argument"),
    ],
)
def test_a_damaged_archive_is_one_message(tmp_path: Path, damaged: bytes, why: str) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(WHOLE)
    assert len(list(archived_lines(path, MEMBER))) == 300
    path.write_bytes(damaged)
    message = rf"a\.zip: is a damaged zip file \(.*{why}.*\)\. Remove it, and the same command"
    with pytest.raises(DataError, match=message):
        list(archived_lines(path, MEMBER))
