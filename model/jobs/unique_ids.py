"""Unique ids: finds an id that stands in two rows, however many rows there are.

Ids are hashed to 64 bits, which go to disk in buckets, so that memory does not grow with their
number; equal hashes are then looked up among the ids themselves.
"""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

_IN_MEMORY = 1 << 18
"""Hashes that are kept before they go to disk."""
_BUCKET_BITS = 8
_SHOWN = 3


class UniqueIds:
    """The hashes of all ids so far; a context, whose files are removed at its end."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="dragoman-ids-")
        self._waiting: list[bytes] = []

    def __enter__(self) -> "UniqueIds":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def add(self, ids: Iterable[str]) -> None:
        """Take further ids."""
        self._waiting += map(_digest, ids)
        if len(self._waiting) >= _IN_MEMORY:
            self._flush()

    def repeated(self, again: Callable[[], Iterable[Sequence[str]]]) -> list[str]:
        """The first few ids that were added more than once.

        Args:
            again: gives all ids once more, in lists; called only if two hashes are equal.
        """
        self._flush()
        equal: set[bytes] = set()
        for bucket in Path(self._folder.name).iterdir():
            hashes: NDArray[np.uint64] = np.sort(np.fromfile(bucket, dtype=">u8"))
            again_there = hashes[1:][hashes[1:] == hashes[:-1]]
            equal.update(int(one).to_bytes(8, "big") for one in again_there)
        if not equal:
            return []
        counts = Counter(one for ids in again() for one in ids if _digest(one) in equal)
        return [one for one, count in counts.items() if count > 1][:_SHOWN]

    def _flush(self) -> None:
        hashes = np.frombuffer(b"".join(self._waiting), dtype=">u8")
        self._waiting = []
        buckets = hashes >> np.uint64(64 - _BUCKET_BITS)
        for bucket in np.unique(buckets):
            with (Path(self._folder.name) / str(bucket)).open("ab") as file:
                file.write(hashes[buckets == bucket].tobytes())


def _digest(one: str) -> bytes:
    return hashlib.blake2b(one.encode(errors="surrogatepass"), digest_size=8).digest()
