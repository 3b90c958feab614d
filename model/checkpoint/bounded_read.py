"""Bounded reading: of regular files no larger than allowed, and of JSON without deep nesting.

A checkpoint may come from a stranger. Whatever lies under the name of one of its files, reading it
neither waits nor takes more memory than the caller allows.
"""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from model.errors import CheckpointError

JSON_BYTES = 2**18
"""The largest JSON file of a checkpoint; one that Dragoman writes has a few KiB."""
JSON_DEPTH = 20
"""The most values inside one another."""


def read_bounded(path: Path, most: int) -> bytes:
    """Read a regular file, or one that `path` links to.

    Raises:
        CheckpointError: it is missing, no regular file or has more than `most` bytes.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        check_size(path, size, most)
        return file.read(size)


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file, or one that `path` links to, for reading.

    Raises:
        CheckpointError: it is missing or no regular file, or reading it fails.
    """
    try:
        # Opening a FIFO would otherwise wait for somebody to write into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise CheckpointError(f"{path}: not a regular file. Copy the checkpoint again.")
            yield file
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: missing. Copy the whole checkpoint again.") from error
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read: {error.strerror}. Make it readable, or copy it again."
        ) from error


def check_size(path: Path, size: int, most: int) -> None:
    """Check that a file of `size` bytes has no more than `most`.

    Raises:
        CheckpointError: it has.
    """
    if size > most:
        raise CheckpointError(
            f"{path}: {size:,} bytes, but at most {most:,} are read. Use files "
            "of one checkpoint, as Dragoman wrote them."
        )


def parse_json(content: bytes, path: Path) -> dict[str, Any]:
    """Parse the JSON object that `path` holds.

    Raises:
        CheckpointError: it is not an object, repeats a key or is nested too deeply.
    """
    try:
        value = json.loads(content, object_pairs_hook=_without_repetition)
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON: {error}. Copy the checkpoint again.") from error
    except RecursionError as error:
        raise CheckpointError(_too_deep(path)) from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: not a JSON object. Copy the checkpoint again.")
    if _depth_exceeds(value, JSON_DEPTH):
        raise CheckpointError(_too_deep(path))
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _depth_exceeds(value: object, most: int) -> bool:
    layer = [value]
    for _ in range(most):
        inner = [
            v.values() if isinstance(v, dict) else v for v in layer if isinstance(v, dict | list)
        ]
        layer = [item for items in inner for item in items]
    return bool(layer)


def _too_deep(path: Path) -> str:
    return f"{path}: more than {JSON_DEPTH} values inside one another. Copy the checkpoint again."
