"""Deduplication: find repeats among any number of 64-bit hashes in bounded memory, by top bits."""

# Shapes: N hashes.

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PART = 1 << 22
"""Approximate number of hashes compared at a time; each takes some 40 bytes then."""
_READ = 1 << 20

_ENTRY = np.dtype([("hash", np.uint64), ("row", np.int64)])


def mark_repeated(hashes: Path, marks: Path, scratch: Path) -> int:
    """Write a byte for each row of the file `hashes` (uint64) to `marks`: 1 for a repetition.

    The first row of equal hashes is none. Two different pairs have the same hash with probability
    2^-64: of a billion pairs, 0.03 are expected to be lost. `scratch` is an empty folder for files
    of 16 bytes a hash, removed again. Returns how many repetitions there are.
    """
    total = hashes.stat().st_size // 8
    marks.write_bytes(b"")
    with marks.open("r+b") as file:
        file.truncate(total)
    bits = max(0, (total - 1).bit_length() - PART.bit_length() + 1)
    found = 0
    for path in _parts(hashes, scratch, bits):
        entries = np.fromfile(path, _ENTRY)
        path.unlink()
        rows = _repeated(entries)
        found += len(rows)
        written = np.memmap(marks, np.uint8, "r+", shape=(total,)) if len(rows) else None
        if written is not None:
            written[rows] = 1
            written.flush()
    return found


def _repeated(entries: NDArray[np.void]) -> NDArray[np.int64]:
    """Find the rows whose hash an earlier row has. The entries are in the order of rows."""
    order = np.argsort(entries["hash"], kind="stable")
    hashes = entries["hash"][order]
    again = np.zeros(len(order), dtype=bool)
    again[1:] = hashes[1:] == hashes[:-1]
    return np.asarray(entries["row"][order[again]])


def _parts(hashes: Path, scratch: Path, bits: int) -> list[Path]:
    """Files of the hashes with equal top `bits`, each in the order of rows."""
    paths = [scratch / f"part-{number}" for number in range(1 << bits)]
    row = 0
    with hashes.open("rb") as file:
        while len(block := np.frombuffer(file.read(8 * _READ), np.uint64)):
            entries = np.empty(len(block), _ENTRY)
            entries["hash"], entries["row"] = block, np.arange(row, row + len(block))
            row += len(block)
            part = block >> np.uint64(64 - bits) if bits else np.zeros(len(block), np.uint64)
            for number, path in enumerate(paths):
                with path.open("ab") as output:
                    output.write(entries[part == number].tobytes())
    return [path for path in paths if path.exists()]
