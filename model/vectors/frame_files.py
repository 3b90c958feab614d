"""Frame files: sequences of vectors out of .npy, .npz, .jsonl and .parquet.

    .npy      an array (N, S, W) of N sequences of one length, or (S, W), one sequence
    .npz      one array (S, W) for each sequence, in their order in the file
    .jsonl    a sequence a line: a list of vectors, or an object that has it in a field
    .parquet  a sequence a row: a column of lists of lists

A vector of one number may be written as the number, and an array (S,) is such a sequence.
"""

# Shapes: N sequences, S their length, W numbers in a vector.

import json
import tokenize
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from model.io.compression import ZIP_DAMAGE, open_binary, plain_suffix
from model.io.lines import read_raw_lines

Frames = NDArray[np.float32]

SUFFIXES = (".npy", ".npz", ".jsonl", ".ndjson", ".parquet")

_NPY_DAMAGE = (
    *(ValueError, EOFError, OSError),
    # The header is a Python literal that numpy reads by Python's tokenizer and parser.
    *(TypeError, SyntaxError, tokenize.TokenError, RecursionError, OverflowError),
)

_ROWS = 256
"""Rows of a Parquet file that are read at once."""


def read_sequences(path: Path, field: str) -> Iterator[Frames]:
    """The sequences (S, W) of a file.

    Args:
        field: of the objects in a .jsonl file, or the column of a .parquet file.

    Raises:
        DataError: the file cannot be read, or one is no sequence of vectors, see `frames`.
    """
    suffix = plain_suffix(path)
    if suffix == ".npy":
        yield from _npy(path)
    elif suffix == ".npz":
        yield from _npz(path)
    elif suffix in (".jsonl", ".ndjson"):
        for number, line in enumerate(read_raw_lines(path), 1):
            where = f"{path}, line {number}"
            yield line_frames(line, field, where)
    elif suffix == ".parquet":
        yield from _parquet(path, field)
    else:
        raise DataError(
            f"{path}: no file of vectors. Name one that ends in {', '.join(SUFFIXES)}, or give a "
            "table of series by --windows."
        )


def frames(values: object, where: str) -> Frames:
    """The sequence (S, W) that nested lists or an array hold, checked.

    Args:
        where: its place, with which messages begin.

    Raises:
        DataError: see `checked`.
    """
    try:
        return checked(values)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def line_frames(line: bytes, field: str, where: str) -> Frames:
    """The sequence (S, W) in a line of .jsonl, or in the `field` of an object there.

    Raises:
        DataError: see `parsed` and `frames`; or true or false stands for a number.
    """
    values = parsed(line, field, where)
    # Arrays would take them for 1 and 0. A line without the words cannot hold them.
    if (b"true" in line or b"false" in line) and _has_truth(values):
        raise DataError(f"{where}: true or false. Write numbers, such as 1 and 0.")
    return frames(values, where)


def _has_truth(values: object) -> bool:
    if isinstance(values, list):
        return any(map(_has_truth, values))
    return isinstance(values, bool)


def checked(values: object) -> Frames:
    """The sequence (S, W) that nested lists or an array hold, whose place the caller knows.

    Raises:
        DataError: it is empty, its vectors have different widths, or a number is none.
    """
    try:
        given = np.asarray(values)
    except (ValueError, TypeError, OverflowError):
        raise DataError(_not_frames(values)) from None
    if given.size and given.dtype.kind not in "biuf":  # such as text that spells a number
        raise DataError(_not_frames(values))
    array = given.astype(np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.size == 0:
        raise DataError("an empty sequence. Leave it out.")
    if array.ndim != 2:
        raise DataError(
            f"{array.ndim} dimensions, but a sequence of vectors has 2: steps and numbers."
        )
    with np.errstate(over="ignore"):
        result = array.astype(np.float32)
    wrong = np.argwhere(~np.isfinite(result))
    if len(wrong):
        step, column = wrong[0].tolist()
        raise DataError(
            f"vector {step + 1}, column {column + 1} is {array[step, column]:g}. Give finite "
            "numbers that fit into 32 bits, or leave the sequence out."
        )
    return result


def check_width(array: Frames, width: int, where: str, key: str) -> None:
    """Check that the vectors of `array` (S, W) are as wide as `key` says.

    Raises:
        DataError: they are not.
    """
    if array.shape[1] != width:
        raise DataError(
            f"{where}: vectors of {array.shape[1]} numbers, but {key} is {width}. Make them agree."
        )


NESTED = "Write a list of vectors, such as [[0.5, 1], [2, 3]]."
"""What to do about a line of .jsonl that holds none."""


def parsed(line: bytes, field: str, where: str, advice: str = NESTED) -> object:
    """What a line of .jsonl holds: the whole line, or the `field` of an object.

    Raises:
        DataError: it is not JSON, in which case `advice` says what to do, or has no such field.
    """
    try:
        # All numbers as floats: an array takes an integer from 2 ** 64 on for no number at all.
        value: Any = json.loads(line, parse_int=float)
    except (ValueError, RecursionError):
        raise DataError(f"{where}: not JSON. {advice}") from None
    if isinstance(value, dict):
        if field not in value:
            raise DataError(f"{where}: no field {field!r}. Name the one that holds the sequence.")
        return value[field]
    return value


def _not_frames(values: object) -> str:
    """What is wrong with nested lists that make no array."""
    if isinstance(values, list):
        widths = [len(one) if isinstance(one, list) else 1 for one in values]
        for step, width in enumerate(widths):
            if width != widths[0]:
                return (
                    f"vector {step + 1} has {width} numbers, but vector 1 has {widths[0]}. Give "
                    "all the same width."
                )
    return "no list of vectors. Write numbers, such as [[0.5, 1], [2, 3]]."


def _npy(path: Path) -> Iterator[Frames]:
    with open_binary(path) as stream:
        array = _numbers(stream, str(path))
    if array.ndim < 3:
        yield frames(array, str(path))
        return
    for number, one in enumerate(array, 1):
        yield frames(one, f"{path}, sequence {number}")


def _npz(path: Path) -> Iterator[Frames]:
    with open_binary(path) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                for name in archive.namelist():
                    where = f"{path}, array {name.removesuffix('.npy')}"
                    with archive.open(name) as member:
                        yield frames(_numbers(member, where), where)
        except ZIP_DAMAGE as error:
            raise DataError(f"{path}: not .npz, or damaged. Check the file.") from error


def _numbers(stream: IO[bytes], where: str) -> NDArray[Any]:
    """The array of a .npy file; objects in it, which would be pickled, are refused."""
    try:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    except _NPY_DAMAGE as error:
        raise DataError(f"{where}: not .npy, or it holds more than numbers.") from error
    except MemoryError as error:
        raise DataError(f"{where}: larger than the memory. Divide it.") from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where}: {array.dtype}, but vectors are numbers. Convert it to float32.")
    return array


def _parquet(path: Path, column: str) -> Iterator[Frames]:
    import pyarrow
    import pyarrow.parquet

    with open_binary(path) as stream:
        try:
            with pyarrow.parquet.ParquetFile(stream) as file:
                names = file.schema_arrow.names
                if names.count(column) != 1:
                    raise DataError(
                        f"{path}: no single column {column!r}, only {', '.join(names)}. Name one."
                    )
                number = 0
                for batch in file.iter_batches(_ROWS, columns=[column]):
                    for value in batch.column(0).to_pylist():
                        number += 1
                        yield frames(value, f"{path}, row {number}")
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{path}: not Parquet, or damaged. Check the file.") from error
