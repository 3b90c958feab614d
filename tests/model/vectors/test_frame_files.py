"""Frame files: every form gives the arrays that NumPy wrote, and what is wrong is named."""

import gzip
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from model.errors import DataError
from model.vectors.frame_files import Frames, check_width, frames, read_sequences

FILMS = [
    np.array([[0.5, 1], [2, -3]], np.float32),
    np.array([[1e6, 0.1]], np.float32),
    np.arange(6, dtype=np.float32).reshape(3, 2),
]


def npz(path: Path) -> None:
    np.savez_compressed(path, *FILMS)


def jsonl(path: Path) -> None:
    path.write_text("".join(f"{json.dumps(film.tolist())}\n" for film in FILMS))


def objects(path: Path) -> None:
    lines = (json.dumps({"id": 1, "source": film.tolist()}) for film in FILMS)
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))


def parquet(path: Path) -> None:
    table = pyarrow.table({"source": [film.tolist() for film in FILMS], "other": [1, 2, 3]})
    pyarrow.parquet.write_table(table, path)


@pytest.mark.parametrize(
    ("name", "write"),
    [("x.npz", npz), ("x.jsonl", jsonl), ("x.jsonl.gz", objects), ("x.parquet", parquet)],
)
def test_sequences_come_back(name: str, write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path / name)
    found = list(read_sequences(tmp_path / name, "source"))
    assert [one.dtype for one in found] == [np.float32] * 3
    for one, film in zip(found, FILMS, strict=True):
        np.testing.assert_array_equal(one, film)


def test_an_array_is_one_sequence_or_several(tmp_path: Path) -> None:
    several = np.arange(12).reshape(2, 3, 2)
    for number, array in enumerate((several, several[0], several[0, :, 0])):
        np.save(tmp_path / f"{number}.npy", array)
    found = [list(read_sequences(tmp_path / f"{n}.npy", "")) for n in range(3)]
    assert [[one.tolist() for one in file] for file in found] == [
        several.tolist(),
        [several[0].tolist()],
        [[[0], [2], [4]]],
    ]


def test_numbers_are_vectors_of_width_1() -> None:
    assert frames([1, 2.5], "x").tolist() == [[1], [2.5]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[[1, 2], [3]]", "line 1: vector 2 has 1 numbers, but vector 1 has 2"),
        ("[[1, 2], [3, NaN]]", "line 1: vector 2, column 2 is nan"),
        ("[[1, 2], [-Infinity, 4]]", "line 1: vector 2, column 1 is -inf"),
        ("[[1e300, 2]]", "line 1: vector 1, column 1 is 1e\\+300"),
        ("[]", "line 1: an empty sequence"),
        ("[[]]", "line 1: an empty sequence"),
        ("3", "line 1: 0 dimensions"),
        ("[[[1]]]", "line 1: 3 dimensions"),
        ('[["a"]]', "line 1: no list of vectors"),
        ('[[1, 2], [3, "4"]]', "line 1: no list of vectors"),
        ('{"text": 1}', "line 1: no field 'source'"),
        ("[[1, true]]", "line 1: true or false. Write numbers"),
        ('{"source": [false], "told": true}', "line 1: true or false"),
        ("null", "line 1: .*0 dimensions|no list"),
        ("[[1, 2]", "line 1: not JSON"),
        ("[" * 100_000, "line 1: not JSON"),
    ],
)
def test_what_is_wrong_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(DataError, match=message):
        list(read_sequences(path, "source"))


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    array = np.array([{1: 2}], dtype=object)
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    np.savez(tmp_path / "y.npz", array, allow_pickle=True)
    for name in ("x.npy", "y.npz"):
        with pytest.raises(DataError, match=r"not \.npy, or it holds more than numbers"):
            list(read_sequences(tmp_path / name, ""))


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.parquet"])
def test_damaged_files_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 nothing of the kind")
    with pytest.raises(DataError, match=r"damaged|more than numbers"):
        list(read_sequences(tmp_path / name, "source"))


def test_files_of_other_kinds_and_missing_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file of vectors. Name one that ends in .npy"):
        list(read_sequences(tmp_path / "x.txt", ""))
    with pytest.raises(DataError, match="no such file"):
        list(read_sequences(tmp_path / "x.npz", ""))
    np.save(tmp_path / "x.npy", np.array(["a"]))
    with pytest.raises(DataError, match="<U1, but vectors are numbers"):
        list(read_sequences(tmp_path / "x.npy", ""))


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), \n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2)}\n",
        "{'descr': ',', 'fortran_order': False, 'shape': (2, 2)}\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2)}\n",
        "(" * 300 + "\n",
    ],
)
def test_a_header_that_is_no_literal_is_damage(header: str, tmp_path: Path) -> None:
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    (tmp_path / "x.npy").write_bytes(start + bytes(64))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.write(tmp_path / "x.npy", "x.npy")
    for name in ("x.npy", "x.npz"):
        with pytest.raises(DataError, match=r"not \.npy, or it holds more than numbers"):
            list(read_sequences(tmp_path / name, "source"))


def test_whole_numbers_beyond_64_bits_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"source": [[18446744073709551616, 3]], "told": true}\n')
    (found,) = read_sequences(tmp_path / "x.jsonl", "source")
    assert found.tolist() == [[2.0**64, 3]]


def test_widths_are_compared() -> None:
    film: Frames = FILMS[0]
    check_width(film, 2, "x", "source.width")
    with pytest.raises(DataError, match=r"x: vectors of 2 numbers, but source.width is 3"):
        check_width(film, 3, "x", "source.width")


def test_a_header_that_claims_more_than_there_is_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (10**13, 3)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(DataError, match=r"larger than the memory|not \.npy"):
        list(read_sequences(path, "source"))
