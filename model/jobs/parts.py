"""Parts: the finished work of a job, kept in a folder next to the output, so it survives a kill.

    FILE.parts/manifest.json          what every part has in common, written before the first
    FILE.parts/00000012-1f3a5c7e      the translated records of part 12; the rest is the job's key
    FILE.parts/00000012-1f3a5c7e.quarantine    those of them that were set aside, if any
    FILE.parts/00000012-1f3a5c7e.truncated     how many of them were truncated, if any
    FILE.parts/lock                   held with flock: shared by shards, alone by a whole job

A file gets its name only when it is complete and on the disk. The process that finishes last joins
all parts, so the output does not depend on which process made which part, nor on the order.

A shard is the set of parts that one process makes when several share a job.
"""

import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from model.errors import ConfigError, DataError
from model.io.lines import atomic_output, sync_directory
from model.jobs.manifest import Manifest, check_same, load_manifest, manifest_path
from model.jobs.truncation import Truncations
from model.jobs.window import Written


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`-th of `count` shards, from 1. Parts are dealt out in turn, so evenly."""

    index: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def owns(self, part: int) -> bool:
        """Whether part number `part`, from 0, belongs to the shard."""
        return part % self.count == self.index - 1

    def has_work(self, parts: int) -> bool:
        """Whether the shard has anything to do in a job of `parts` parts.

        The first shard always has: it writes the output even if the input is empty.
        """
        return self.index == 1 or self.index <= parts


def parse_shard(text: str) -> Shard:
    """Parse `i/N`.

    Raises:
        ConfigError: `text` is not a shard.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ConfigError(f"--shard: {text!r} is not i/N with i from 1 to N. Give one like 2/8.")
    return Shard(int(found[1]), int(found[2]))


_LOCK = "lock"
_ENDINGS = ("", ".parquet")  # of a part; with the second, see `model.jobs.folder_job`
_TRIES, _BETWEEN_S = 5, 0.02


class Parts:
    """The folder of a job while this process works in it."""

    def __init__(self, folder: Path, manifest: Manifest, lock: int) -> None:
        """Use `claim`. `lock` is the open file of the lock."""
        self.folder = folder
        self.manifest = manifest
        self._lock = lock
        self._key = manifest.key()

    def __len__(self) -> int:
        """The number of parts of the job, done or not."""
        return self.manifest.parts

    def size(self, part: int) -> int:
        """The number of records in part number `part`, from 0."""
        start = part * self.manifest.part_records
        return min(self.manifest.part_records, self.manifest.records - start)

    def is_done(self, part: int) -> bool:
        """Whether the part is finished."""
        return self._path(part).exists()

    def write(self, part: int, written: Written) -> None:
        """Add a part atomically: a kill leaves all of it or nothing.

        Raises:
            DataError: the disk is full.
        """
        side_files = {"quarantine": written.quarantine, "truncated": written.truncations.to_json()}
        for suffix, content in side_files.items():
            if content:  # before the part, so that a finished part has its other files
                with atomic_output(self._beside(part, suffix)) as output:
                    output.write(content)
        with atomic_output(self._path(part)) as output:
            output.write(written.lines)

    def lines(self) -> Iterator[bytes]:
        """The lines of all parts, in order."""
        for part in range(len(self)):
            with self._path(part).open("rb") as stream:
                yield from stream

    def copy_to(self, output: BinaryIO) -> None:
        """Write all parts, in order."""
        for part in range(len(self)):
            with self._path(part).open("rb") as stream:
                shutil.copyfileobj(stream, output)

    def quarantined(self) -> Iterator[bytes]:
        """The lines of the quarantine, in order."""
        return self._lines_beside("quarantine")

    def truncations(self) -> Truncations:
        """The truncations in all parts."""
        found = Truncations()
        for line in self._lines_beside("truncated"):
            found.add(Truncations.from_json(line))
        return found

    def last_one(self) -> bool:
        """Whether all parts are done and this process is the one to join them.

        Call it once, after the last part of this process. If several finish at the same time, it is
        true for exactly one: each releases its lock before it checks.
        """
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        if not all(map(self.is_done, range(len(self)))):
            return False
        for _ in range(_TRIES):
            if _take(self._lock, fcntl.LOCK_EX):
                return _is_at(self._lock, self.folder / _LOCK)
            time.sleep(_BETWEEN_S)  # another one joins them, or `_in_use` has a look
        return False

    def publish(self, output: Path, write: Callable[[BinaryIO], None]) -> None:
        """Write `output` atomically with `write`, then remove the folder.

        Raises:
            DataError: the disk is full. All parts are intact.
        """
        joined = self.folder / f"joined{output.suffix}"
        with atomic_output(joined) as stream:
            write(stream)
        target = Path(os.path.realpath(output))  # a link stays a link
        joined.replace(target)
        sync_directory(target.parent)
        remove(self.folder)

    def _path(self, part: int) -> Path:
        return self.folder / f"{part:08d}-{self._key}"

    def _beside(self, part: int, suffix: str) -> Path:
        return self.folder / f"{part:08d}-{self._key}.{suffix}"

    def _lines_beside(self, suffix: str) -> Iterator[bytes]:
        for part in range(len(self)):
            path = self._beside(part, suffix)
            if path.exists():
                with path.open("rb") as stream:
                    yield from stream


def folder_of(output: Path) -> Path:
    """The folder of the parts of `output`; if that is a link, beside its target."""
    target = Path(os.path.realpath(output))
    return target.with_name(f"{target.name}.parts")


@contextmanager
def claim(folder: Path, manifest: Manifest, shard: Shard, *, resume: bool) -> Iterator[Parts]:
    """Start a job in `folder`, or resume the one that is there.

    If the block fails, the folder stays for a later `resume`, unless it has no parts.

    Raises:
        DataError: the folder cannot be written or is in use, or has parts and `resume` is false.
        ConfigError: the folder belongs to another job; the difference is named.
    """
    if shard.count == 1 and not resume:
        refuse_existing(folder)
    lock = _lock_folder(folder, fcntl.LOCK_EX if shard.count == 1 else fcntl.LOCK_SH)
    try:
        check_same(_agree(folder, manifest), manifest, manifest_path(folder))
        parts = Parts(folder, manifest, lock)
        if not resume and any(shard.owns(i) and parts.is_done(i) for i in range(len(parts))):
            raise DataError(_left(folder))
        yield parts
    except BaseException:
        if folder.exists() and not has_parts(folder) and _take(lock, fcntl.LOCK_EX):
            remove(folder)
        raise
    finally:
        os.close(lock)


def has_parts(folder: Path) -> bool:
    """Whether the folder has any part, even of another job."""
    return any(chain.from_iterable(folder.glob(f"[0-9]*-????????{end}") for end in _ENDINGS))


def refuse_existing(folder: Path) -> None:
    """Check that no earlier run left `folder` behind.

    Raises:
        DataError: one did, or works in it now.
    """
    if _in_use(folder):
        raise DataError(_used(folder))
    if folder.exists():
        raise DataError(_left(folder))


def remove_lock(folder: Path) -> None:
    """Remove the lock, which this process holds alone, from a folder that becomes an output."""
    (folder / _LOCK).unlink()


def remove(folder: Path) -> None:
    """Remove the folder of a job so that a kill never leaves half of it under its name."""
    doomed = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(doomed, ignore_errors=True)  # left by a killed process
    folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _lock_folder(folder: Path, kind: int) -> int:
    """Take the lock and return its open file; create the folder if it is missing."""
    while True:
        try:
            folder.mkdir(exist_ok=True)
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            is_free = _take(lock, kind)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot be written ({error.strerror}). Give a name in an existing "
                "directory that you may write to."
            ) from error
        if not is_free:
            os.close(lock)
            raise DataError(_used(folder))
        if _is_at(lock, folder / _LOCK):
            return lock
        os.close(lock)  # another process has just removed that folder


def _in_use(folder: Path) -> bool:
    """Whether a process works in the folder, alone or with other shards."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _take(lock, fcntl.LOCK_EX)
    finally:
        os.close(lock)


def _left(folder: Path) -> str:
    return f"{folder}: parts of an earlier run. Go on with them by --resume, or remove the folder."


def _used(folder: Path) -> str:
    return f"{folder}: in use by another process. Wait for it, or stop it."


def _take(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(lock: int, path: Path) -> bool:
    """Whether the open file of the lock is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path))
    except FileNotFoundError:
        return False


def _agree(folder: Path, manifest: Manifest) -> Manifest:
    """The manifest of the folder, which gets `manifest` if it has none; the first one wins."""
    path = manifest_path(folder)
    if (begun := load_manifest(path)) is not None:
        return begun
    draft = folder / f"manifest-{secrets.token_hex(6)}.tmp"
    with atomic_output(draft) as output:
        output.write(manifest.to_json().encode())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    agreed = load_manifest(path)
    assert agreed is not None
    return agreed
