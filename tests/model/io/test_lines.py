"""Reading and writing lines: endings, bad files, and output that appears whole or not at all."""

import gzip
import io
import os
import resource
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from model.errors import DataError
from model.io.lines import atomic_output, iter_lines, read_lines, whole_text

# Whatever a line may hold: no LF, and no CR at its end, which would belong to the ending.
line = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n")).map(
    lambda text: text.rstrip("\r")
)


def lines_of(data: bytes) -> list[str]:
    return list(iter_lines(io.BytesIO(data), "corpus.de"))


@given(st.lists(line), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_lines_come_back(lines: list[str], ending: str, marked: bool, ended: bool) -> None:
    if marked or (lines and lines[0].startswith("\ufeff")):
        data = "\ufeff" + ending.join(lines)
    else:
        data = ending.join(lines)
    expected = list(lines)
    if ended and lines:
        data += ending
    elif lines and lines[-1] == "":
        expected.pop()  # nothing after the last ending is no line
    assume(data.count("\0") < 2)  # what has more may be taken for UTF-16, see test_charset.py
    assert lines_of(data.encode()) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\nb", ["a", "b"]),
        (b"a\nb\n", ["a", "b"]),
        (b"a\n\nb\n\n", ["a", "", "b", ""]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\r\r\nb\rc\nd\r", ["a\r", "b\rc", "d\r"]),
        (b"\xef\xbb\xbf", []),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        ("a\x85b\u2028c\vd\fe\x1cf\n".encode(), ["a\x85b\u2028c\vd\fe\x1cf"]),
    ],
)
def test_line_endings(data: bytes, expected: list[str]) -> None:
    assert lines_of(data) == expected


def test_lines_are_yielded_while_the_stream_is_open() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as source, open(writer, "wb", buffering=0) as sink:
        lines = iter_lines(source, "pipe")
        sink.write(b"first\nsec")
        assert next(lines) == "first"
        sink.write(b"ond\n")
        assert next(lines) == "second"


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"good\nab\xff\n", r"line 2: .*byte 0xff at column 3"),
        ("größer".encode() + b"\xc3", r"line 1: .*byte 0xc3 at column 7"),
        (b"\xef\xbb\xbf\xff", r"line 1: .*byte 0xff at column 1"),
        (b"\xed\xa0\x80", r"line 1: .*byte 0xed at column 1"),  # a surrogate
    ],
)
def test_invalid_utf8_is_located(data: bytes, place: str) -> None:
    with pytest.raises(DataError, match=rf"corpus\.de, {place}.*Convert the file to UTF-8"):
        lines_of(data)


@pytest.mark.parametrize(
    "text", ["Hallo Welt\nHund\n", "\n\nHallo Welt\n", "Привет,\n- Добрый день\n"]
)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf16_is_named_though_its_lines_may_pass_for_utf8(text: str, encoding: str) -> None:
    with pytest.raises(DataError, match=r"corpus\.de: looks like UTF-.* iconv -f UTF-"):
        lines_of(text.encode(encoding))


def test_a_whole_text_has_its_lines_and_no_mark() -> None:
    assert whole_text("\ufeffa: ü\r\n\nb".encode(), "x.yaml") == "a: ü\n\nb\n"
    with pytest.raises(DataError, match=r"x\.yaml, line 2: not valid UTF-8 .* column 2"):
        whole_text(b"a\nb\xff", "x.yaml")


def test_files_are_read_compressed_and_plain(tmp_path: Path) -> None:
    data = "eins\nzwei\r\n\u2028 drei".encode()
    plain, compressed = tmp_path / "a.txt", tmp_path / "a.txt.gz"
    plain.write_bytes(data)
    # Two members, as `cat a.gz b.gz` leaves them.
    compressed.write_bytes(gzip.compress(data[:7]) + gzip.compress(data[7:]))
    assert (
        list(read_lines(plain)) == list(read_lines(compressed)) == ["eins", "zwei", "\u2028 drei"]
    )


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.txt: no such file\. Check the path"):
        next(read_lines(tmp_path / "missing.txt"))
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory\)"):
        next(read_lines(tmp_path))


def cut_short(compressed: bytes) -> bytes:
    return compressed[: len(compressed) // 2]


def with_damage(compressed: bytes) -> bytes:
    return compressed[:-8] + bytes([compressed[-8] ^ 1]) + compressed[-7:]


def not_compressed(compressed: bytes) -> bytes:
    return b"plain text\n"


def with_bad_blocks(compressed: bytes) -> bytes:
    return compressed[:10] + b"\xff" * 20 + compressed[30:]


@pytest.mark.parametrize("damage", [cut_short, with_damage, not_compressed, with_bad_blocks])
def test_damaged_gzip_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "corpus.gz"
    path.write_bytes(damage(gzip.compress(os.urandom(500).hex().encode() + b"\n")))
    with pytest.raises(DataError, match=r"corpus\.gz: damaged or incomplete gzip"):
        list(read_lines(path))


@pytest.mark.parametrize("name", ["out.txt", "out.txt.gz"])
def test_output_is_written_and_nothing_is_left_beside_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("old")
    with atomic_output(path) as output:
        output.write("neu ü\n".encode())
        assert path.read_text() == "old"
    assert list(read_lines(path)) == ["neu ü"]
    assert os.listdir(tmp_path) == [name]


def test_compressed_output_is_reproducible(tmp_path: Path) -> None:
    paths = [tmp_path / "a.gz", tmp_path / "b.gz"]
    for path in paths:
        with atomic_output(path) as output:
            output.write(b"same\n" * 1000)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert first[4:8] == bytes(4)  # no time of writing


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("name", ["out.txt", "out.txt.gz"])
def test_failed_output_leaves_what_was_there(
    tmp_path: Path, name: str, error: type[BaseException]
) -> None:
    path = tmp_path / name
    path.write_text("old")
    with pytest.raises(error), atomic_output(path) as output:
        output.write(b"half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [name]


def test_output_has_ordinary_permissions_and_keeps_links(tmp_path: Path) -> None:
    target, link, plain = tmp_path / "target", tmp_path / "link", tmp_path / "plain"
    target.write_text("old")
    plain.write_text("")
    link.symlink_to(target)
    with atomic_output(link) as output:
        output.write(b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_whoever_could_not_read_the_old_file_cannot_read_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    path.chmod(0o600)
    with atomic_output(path) as output:
        output.write(b"new")
        (written,) = [file for file in tmp_path.iterdir() if file != path]
        assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match=r"nowhere/out: cannot be written \(No such file"),
        atomic_output(tmp_path / "nowhere" / "out"),
    ):
        pass
    with pytest.raises(DataError, match="is a directory"), atomic_output(tmp_path):
        pass


def test_devices_and_pipes_are_written_directly() -> None:
    with atomic_output(Path("/dev/null")) as output:
        output.write(b"gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    reader, writer = os.pipe()
    with open(reader, "rb") as source:
        with open(writer, "wb"), atomic_output(Path(f"/dev/fd/{writer}")) as output:
            output.write(b"through")
        assert source.read() == b"through"


def test_a_full_disk_is_named() -> None:
    with (
        pytest.raises(DataError, match=r"/dev/full: cannot be written \(No space left on device\)"),
        atomic_output(Path("/dev/full")) as output,
    ):
        output.write(b"too much")


def test_a_file_that_grows_too_large_is_removed(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(DataError, match="File too large"), atomic_output(tmp_path / "o") as out:
            out.write(bytes(1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path) == []
