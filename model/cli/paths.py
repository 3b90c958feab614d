"""Paths: no file that a command reads, or writes for another purpose, is overwritten by it."""

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from model.checkpoint.run_directory import resolve
from model.cli.command import STREAM
from model.errors import ConfigError

Place = tuple[str, str | Path | None]
"""The name of a flag and its value: a path, "-" for a standard stream, or None if not given."""

_Identity = tuple[int, int, str]
"""Device, inode and name: of a file that exists its own and "", else its folder's and its name."""


def refuse_overwriting(reads: Iterable[Place], writes: Sequence[Place]) -> None:
    """Check that no output is an input, or another output, by whatever names they are given.

    Files are compared, not names: links, hard links, /dev/stdin and a standard stream that the
    shell has redirected are followed. An output may be a folder; then nothing in it may be an
    input. Outputs that do not exist yet and differ only in case count as one, as they are one file
    on some systems. Pipes and devices are not compared, because nothing in them can be lost.

    Call it before anything is opened for writing.

    Raises:
        ConfigError: there is such a pair.
    """
    inputs = [(place, _around(place, stream=0)) for place in reads]
    for number, place in enumerate(writes):
        identity = _identity(place, stream=1)
        if identity is None:
            continue
        for other, around in inputs:
            # What the shell has emptied is lost already, and "> file" need not have had anything.
            if identity in around and not (place[1] == STREAM and os.fstat(1).st_size == 0):
                raise ConfigError(
                    f"{_told(place)}: {_relation(identity, around)} {_told(other, reading=True)}, "
                    "which would be lost. Give another name."
                )
        for other in writes[:number]:
            if place[1] == other[1] == STREAM:
                continue
            around = _around(other, stream=1)
            if identity in around:
                relation = _relation(identity, around)
            elif _identity(other, stream=1) in _around(place, stream=1):
                relation = "within"
            else:
                continue
            raise ConfigError(f"{_told(place)}: {relation} {_told(other)}. Give another name.")


def checkpoint_places(flag: str, runs: Iterable[Path | None]) -> list[Place]:
    """The files that are read of runs or checkpoints, for `refuse_overwriting`.

    Raises:
        CheckpointError: one is neither a run nor a checkpoint.
    """
    return [
        (flag, path)
        for run in runs
        if run is not None
        for path in (resolve(run), *resolve(run).rglob("*"))
        if path.is_file()
    ]


def _identity(place: Place, stream: int) -> _Identity | None:
    """What makes the file of `place` the same as another; None for a pipe, a device or nothing.

    Args:
        stream: descriptor that STREAM stands for.
    """
    path = place[1]
    if path is None:
        return None
    try:
        found = os.fstat(stream) if path == STREAM else os.stat(path)
    except OSError:  # a new file, or one that cannot be opened, which is reported later
        target = Path(os.path.realpath(path))
        try:
            folder = os.stat(target.parent)
        except OSError:
            return None
        return folder.st_dev, folder.st_ino, target.name.casefold()
    if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
        return found.st_dev, found.st_ino, ""
    return None


def _around(place: Place, stream: int) -> list[_Identity]:
    """The identity of the file of `place`, then those of the folders that it is in."""
    own = _identity(place, stream)
    if own is None:
        return []
    if place[1] == STREAM:
        return [own]
    folders = Path(os.path.realpath(str(place[1]))).parents
    return [own, *filter(None, (_identity(("", folder), stream) for folder in folders))]


def _relation(identity: _Identity, around: Sequence[_Identity]) -> str:
    return "the same file as" if identity == around[0] else "the folder of"


def _told(place: Place, *, reading: bool = False) -> str:
    flag, path = place
    if path == STREAM:
        return "standard input" if reading else "standard output"
    return f"{flag} {path}"
