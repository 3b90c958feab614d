"""A corpus on disk as ids: a folder, written once from front to back, then read anywhere.

    source.ids, target.ids    ids of all sentences, one after the other (uint16 or int32)
    source.ends, target.ends  int64: where each sentence ends, in ids
    weights                   float32 of each pair; missing where all are 1
    meta.json                 what it is: dtype, report, digest

Read with pread, not mapped: a mapped page counts as memory of the process once it was touched.
"""

import dataclasses
import hashlib
import json
import os
import weakref
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from model.errors import DataError
from training.data.corpus_report import CorpusReport


class Side(NamedTuple):
    """Sentences of one language, concatenated."""

    ids: NDArray[np.int32]  # of all
    lengths: NDArray[np.int64]  # of each

    @classmethod
    def joined(cls, sentences: Sequence[NDArray[np.int32]]) -> "Side":
        """Concatenate sentences, at least one."""
        lengths = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
        return cls(np.concatenate(sentences), lengths)

    def split(self) -> list[NDArray[np.int32]]:
        """Split `ids` into sentences."""
        bounds = [0, *np.cumsum(self.lengths).tolist()]
        return [self.ids[start:end] for start, end in pairwise(bounds)]

    def only(self, kept: NDArray[np.bool_]) -> "Side":
        """Select the sentences for which `kept` is true."""
        return Side(self.ids[np.repeat(kept, self.lengths)], self.lengths[kept])


class Pairs(NamedTuple):
    """Sentences with their translations."""

    source: Side
    target: Side
    weights: NDArray[np.float32]
    """Weight of each pair in the loss."""

    def only(self, kept: NDArray[np.bool_]) -> "Pairs":
        """Select the pairs for which `kept` is true."""
        return Pairs(self.source.only(kept), self.target.only(kept), self.weights[kept])


Number = TypeVar("Number", bound=np.generic)

SIDES = ("source", "target")
_HASHED = 1 << 22  # bytes


class CorpusWriter:
    """Appends pairs to the files of a new folder. Raises the errors of the file system."""

    def __init__(self, folder: Path, dtype: DTypeLike, *, weighted: bool) -> None:
        self.dtype = np.dtype(dtype)
        self.rows = 0
        self.pieces = dict.fromkeys(SIDES, 0)
        folder.mkdir()
        names = [f"{side}.{part}" for side in SIDES for part in ("ids", "ends")]
        names += ["weights"] if weighted else []
        self._files = {name: (folder / name).open("xb", buffering=0) for name in names}

    def __enter__(self) -> "CorpusWriter":
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()

    def append(self, pairs: Pairs) -> None:
        """Append pairs, whose ids must fit the type."""
        for name, side in zip(SIDES, (pairs.source, pairs.target), strict=True):
            ends = self.pieces[name] + np.cumsum(side.lengths)
            self._write(f"{name}.ids", side.ids.astype(self.dtype).tobytes())
            self._write(f"{name}.ends", ends.astype(np.int64).tobytes())
            self.pieces[name] += int(side.lengths.sum())
        if "weights" in self._files:
            self._write("weights", pairs.weights.tobytes())
        self.rows += len(pairs.weights)

    def sync(self) -> None:
        """Force what was written to the disk."""
        for file in self._files.values():
            os.fsync(file.fileno())

    def _write(self, name: str, content: bytes) -> None:
        rest = memoryview(content)
        while rest:  # a disk that is nearly full takes a part
            rest = rest[self._files[name].write(rest) :]


class IndexedCorpus:
    """Pairs of a finished folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        self.digest: str = meta["digest"]
        """SHA-256 of the content, whatever files it came from."""
        self.report = CorpusReport(**meta["report"])
        self._dtype = np.dtype(meta["dtype"])
        self._files: dict[str, int] = {}
        for path in folder.iterdir():
            # Held open, so that the corpus stays readable even if the cache is emptied.
            self._files[path.name] = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._files[path.name])

    def __len__(self) -> int:
        return self.report.kept

    def read(self, start: int, stop: int) -> Pairs:
        """Read the pairs from `start` to before `stop`."""
        source, target = (self._side(name, start, stop) for name in SIDES)
        if "weights" in self._files:
            weights = self._numbers("weights", np.dtype(np.float32), start, stop)
        else:
            weights = np.ones(stop - start, np.float32)
        return Pairs(source, target, weights)

    def blocks(self, rows: int) -> Iterator[Pairs]:
        """Yield all pairs in order, `rows` at a time."""
        for start in range(0, len(self), rows):
            yield self.read(start, min(start + rows, len(self)))

    def lengths(self, rows: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield the lengths of all sources and targets in order, `rows` pairs at a time."""
        for start in range(0, len(self), rows):
            yield self.lengths_of(start, min(start + rows, len(self)))

    def lengths_of(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Read the lengths of the sources and targets from `start` to before `stop`."""
        source, target = (np.diff(self._bounds(name, start, stop)) for name in SIDES)
        return source, target

    def _side(self, name: str, start: int, stop: int) -> Side:
        bounds = self._bounds(name, start, stop)
        ids = self._numbers(f"{name}.ids", self._dtype, int(bounds[0]), int(bounds[-1]))
        return Side(ids.astype(np.int32), np.diff(bounds))

    def _bounds(self, name: str, start: int, stop: int) -> NDArray[np.int64]:
        """Compute where each sentence begins, and where the last one ends."""
        if start:
            return self._numbers(f"{name}.ends", np.dtype(np.int64), start - 1, stop)
        ends = self._numbers(f"{name}.ends", np.dtype(np.int64), 0, stop)
        return np.concatenate([np.zeros(1, np.int64), ends])

    def _numbers(
        self, name: str, dtype: np.dtype[Number], start: int, stop: int
    ) -> NDArray[Number]:
        size = (stop - start) * dtype.itemsize
        raw = os.pread(self._files[name], size, start * dtype.itemsize)
        if len(raw) < size:
            raise DataError(f"{self.folder / name}: cut short. Remove {self.folder}; it is remade.")
        return np.frombuffer(raw, dtype)


def write_meta(folder: Path, dtype: DTypeLike, report: CorpusReport) -> None:
    """Finish a folder: write the report and the digest of its content."""
    meta = {
        "digest": _content_digest(folder, dtype),
        "dtype": np.dtype(dtype).name,
        "report": dataclasses.asdict(report),
    }
    with (folder / "meta.json").open("x", encoding="utf-8") as file:
        json.dump(meta, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _content_digest(folder: Path, dtype: DTypeLike) -> str:
    digest = hashlib.sha256(np.dtype(dtype).name.encode())
    for path in sorted(folder.iterdir()):
        digest.update(f"{path.name} {path.stat().st_size} ".encode())
        with path.open("rb") as file:
            while block := file.read(_HASHED):
                digest.update(block)
    return digest.hexdigest()
