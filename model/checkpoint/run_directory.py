"""Run directory: adds and deletes checkpoints so that no reader ever sees half of one.

    RUN/checkpoints/step-000500/    complete as soon as it has this name, never changed later
    RUN/best, RUN/last              relative links to two of them, replaced by rename
    RUN/.lock                       held with flock by the process that writes

Both links always point to a complete checkpoint, no matter when a process is killed: a directory is
written under a temporary name and then renamed, and links to it are removed before it is deleted.
"""

import ctypes
import errno
import fcntl
import os
import re
import shlex
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import Literal

from model.checkpoint.pretrained import in_box, or_in_box, suggestion
from model.errors import CheckpointError
from model.io.lines import sync_directory

Link = Literal["best", "last"]
LINKS: tuple[Link, ...] = ("best", "last")


def publish(run: Path, step: int, files: Mapping[str, bytes]) -> Path:
    """Write `files` (relative path to content) as a new checkpoint of `step`.

    Returns its directory. Temporary directories left by a killed process are removed first. A
    checkpoint of the same step stays as it is, because a link may point to it: the new one becomes
    "step-000500-2".

    Raises:
        CheckpointError: it cannot be written, for instance because the disk is full. Nothing is
            left behind.
    """
    checkpoints = run / "checkpoints"
    temporary = _temporary(checkpoints / f"step-{step:06d}")
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
        _sweep(checkpoints)
        _write(temporary, files)
        directory = temporary.rename(checkpoints / _free_name(checkpoints, step))
        sync_directory(checkpoints)
    except OSError as error:
        raise CheckpointError(
            f"{run}: cannot save step {step}: {error.strerror}. Earlier checkpoints are intact. "
            "Make room or mend the directory, then resume."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return directory


def refuse_existing(directory: Path) -> None:
    """Check that `publish_as` can create `directory`, before long work.

    Raises:
        CheckpointError: it exists.
    """
    if directory.exists():
        raise CheckpointError(f"{directory}: exists. Choose another --output, or remove it.")


def publish_as(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` as a checkpoint `directory` that belongs to no run, atomically.

    Raises:
        CheckpointError: it exists or cannot be written. Nothing is left behind.
    """
    refuse_existing(directory)
    temporary = _temporary(directory)
    try:
        shutil.rmtree(temporary, ignore_errors=True)  # left by a killed process
        directory.parent.mkdir(parents=True, exist_ok=True)
        _write(temporary, files)
        temporary.rename(directory)
        sync_directory(directory.parent)
    except OSError as error:
        raise CheckpointError(
            f"{directory}: cannot be written: {error.strerror}. Make room or choose another place."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def publish_over(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` as a checkpoint in place of `directory`, in one atomic step.

    Args:
        directory: a checkpoint without links in its path.

    Raises:
        CheckpointError: it cannot be written, or the file system cannot exchange two directories.
            The checkpoint is as it was.
    """
    temporary = _temporary(directory)
    try:
        shutil.rmtree(temporary, ignore_errors=True)  # left by a killed process
        _write(temporary, files)
        _exchange(temporary, directory)
        sync_directory(directory.parent)
    except OSError as error:
        raise CheckpointError(
            f"{directory}: cannot be replaced: {error.strerror}. Make room or mend the directory, "
            "or do it with a copy of it elsewhere."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def checkpoints_of(run: Path) -> list[Path]:
    """The checkpoint directories of `run`, oldest first; none if it is not a run."""
    found = [path for path in (run / "checkpoints").glob("step-*") if _number(path)]
    return sorted(found, key=_number)


def point(run: Path, link: Link, step_dir: Path) -> None:
    """Make `link` of `run` point to `step_dir`, one of its checkpoints, in one atomic step.

    Raises:
        CheckpointError: the link cannot be written; it is unchanged.
    """
    temporary = _temporary(run / link)
    try:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(Path("checkpoints", step_dir.name))
        temporary.replace(run / link)
        sync_directory(run)
    except OSError as error:
        raise CheckpointError(
            f"{run / link}: cannot be pointed to {step_dir.name}: {error.strerror}. "
            "Mend the directory, then resume."
        ) from error


def prune(run: Path, keep: int = 0, also: Collection[Path] = ()) -> None:
    """Delete the checkpoints of `run` except those of its links, the `keep` latest, and `also`."""
    kept = {target for link in LINKS if (target := _target(run, link))}
    assert kept, "point a link to the checkpoint before pruning"
    checkpoints = run / "checkpoints"
    known = checkpoints_of(run)
    kept |= set(known[max(len(known) - keep, 0) :]) | set(also)
    for directory in known:
        if directory not in kept:
            # Half a directory must never have a complete name, not even after a kill.
            directory.rename(_temporary(directory))
    _sweep(checkpoints)


def resolve(path: Path, links: tuple[Link, ...] = LINKS) -> Path:
    """The checkpoint directory that `path` refers to: the first of a run's `links`, else `path`.

    The name of a model in the box gives its pack, unless there is something of that name. A file is
    returned as it is: only a pack can be meant. A run has no `best` before its first
    validation. `last` is then used in its place, unless there are earlier checkpoints, as in a run
    that was copied without its links.

    Raises:
        CheckpointError: there is none, or a link is missing. The message says how to repair it.
    """
    path = in_box(path)
    _check_that_it_can_be(path)
    if (path / "manifest.json").is_file() or path.is_file():
        return path
    for link in links:
        if (target := _checkpoint_at(path, link)) is not None:
            if link != links[0] and _has_earlier(path, target):
                raise CheckpointError(_lost(path, links[0], "is missing"))
            return target
    if checkpoints_of(path):
        raise CheckpointError(_lost(path, links[0], "is missing"))
    if path.name in LINKS and checkpoints_of(path.parent):  # itself such a link
        return resolve(path.parent, ("best",) if path.name == "best" else ("last",))
    if not path.exists():
        raise CheckpointError(f"{path}: does not exist.{suggestion(path)} {_allowed()}")
    if (path / "metrics.jsonl").is_file():
        raise CheckpointError(
            f"{path}: a run without a checkpoint so far; its first validation writes one. Wait for "
            "it, or start the training again."
        )
    raise CheckpointError(
        f"{path}: neither a run (no {' or '.join(links)}) nor a checkpoint (no manifest.json). "
        "Give the output directory of dragoman-train, or one of its checkpoints."
    )


def _check_that_it_can_be(path: Path) -> None:
    """Refuse a path that no file could have, such as a text in its place."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path}: cannot be opened ({reason}). {_allowed()}") from None


def _allowed() -> str:
    return f"Give a run, a checkpoint directory or a pack{or_in_box()}."


def is_begun(run: Path) -> bool:
    """Tell whether training can be resumed in `run`, which takes a last checkpoint.

    If it was killed at its first save, there is a checkpoint but no link yet.

    Raises:
        CheckpointError: the link `last` exists, but its checkpoint does not.
    """
    if (run / "last").is_dir():
        return True
    if (run / "last").is_symlink() or (run / "last").exists():
        resolve(run, ("last",))
    return False


def run_to_write(path: Path) -> Path | None:
    """Find the run that `path` is or that the checkpoint `path` is of; None if it is of none."""
    if not is_checkpoint(path):
        return path
    folder = path.resolve().parent
    return folder.parent if folder.name == "checkpoints" else None


def is_checkpoint(path: Path) -> bool:
    """Whether `path` is a checkpoint directory, or a link to one; else it is a run."""
    return (path / "manifest.json").is_file()


@contextmanager
def lock_run(run: Path) -> Iterator[None]:
    """Lock `run`, creating it if it is missing, against all other processes that would write it.

    The lock belongs to the open file, so the kernel releases it however the process ends. A `run`
    that was created for it, and in which nothing was written, is removed at the end.

    Raises:
        CheckpointError: another process holds it, or the directory cannot be written.
    """
    try:
        existed = run.exists()
        run.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(run / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise CheckpointError(_unusable(run, error)) from error
    try:
        _take(run, descriptor)
        try:
            yield
        finally:
            if not existed and os.listdir(run) == [".lock"]:
                with suppress(OSError):  # NFS keeps a file that is open, under another name
                    (run / ".lock").unlink()
                    run.rmdir()
    finally:
        os.close(descriptor)


def _take(run: Path, descriptor: int) -> None:
    """Lock the open file and write our PID into it, for the error message of other processes."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its last holder may have removed it since we opened it: then a later process opens another
        # file, and both would believe that they hold the lock.
        if not os.path.samestat(os.fstat(descriptor), os.stat(run / ".lock")):
            raise BlockingIOError
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 32, 0).decode() or "not known"
        raise CheckpointError(
            f"{run}: in use by another process (PID {holder}). Wait for it, stop it, or choose "
            "another directory."
        ) from error
    except OSError as error:
        raise CheckpointError(_unusable(run, error)) from error


def _unusable(run: Path, error: OSError) -> str:
    return f"{run}: cannot be written: {error.strerror}. Mend it or choose another directory."


def _target(run: Path, link: Link) -> Path | None:
    """The target of `link`, or itself if copying the run has turned it into a directory."""
    path = run / link
    if path.is_symlink():
        return run / path.readlink()
    return path if path.is_dir() else None


def _checkpoint_at(run: Path, link: Link) -> Path | None:
    """The directory that `link` points to; None if there is no such link.

    Raises:
        CheckpointError: its target is not a directory.
    """
    while (target := _target(run, link)) is not None:
        if target.is_dir():
            return target
        if target == _target(run, link):  # else training has moved it meanwhile
            raise CheckpointError(_lost(run, link, f"points to {target}, which is not there"))
    if (run / link).exists():
        raise CheckpointError(_lost(run, link, "is a file, not a link"))
    return None


def _has_earlier(run: Path, checkpoint: Path) -> bool:
    """Whether there are checkpoints of earlier steps, one of which may have been the best."""
    return any(_number(other)[:1] < _number(checkpoint)[:1] for other in checkpoints_of(run))


def _lost(run: Path, link: Link, how: str) -> str:
    """The error message for a run without a link that it should have."""
    message = f"{run / link}: {how}. Copy the run again, with its links (cp -a)"
    if not (known := checkpoints_of(run)):
        return f"{message}."
    newest = known[-1]
    which = f"the newest of {len(known)}" if len(known) > 1 else "the only one"
    command = f"ln -sfn checkpoints/{newest.name} {shlex.quote(str(run / link))}"
    return f"{message}, give a checkpoint, {which} is {newest}, or make the link: {command}"


def _number(directory: Path) -> tuple[int, ...]:
    """Step and copy of a name such as "step-000500-2"; () for other names."""
    match = re.fullmatch(r"step-(\d+)(?:-(\d+))?", directory.name)
    return (int(match[1]), int(match[2] or 1)) if match else ()


def _free_name(checkpoints: Path, step: int) -> str:
    name = f"step-{step:06d}"
    candidates = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(candidate for candidate in candidates if not (checkpoints / candidate).exists())


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _exchange(one: Path, other: Path) -> None:
    """Let two directories change their names with each other, in one atomic step.

    Raises:
        OSError: this system or this file system cannot do it (NFS cannot), or not with these.
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # not Linux, or a C library from before 2018
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if rename(here, os.fsencode(one), here, os.fsencode(other), exchange):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _sweep(checkpoints: Path) -> None:
    """Remove temporary directories: as the run is locked, a killed process left them."""
    for leftover in checkpoints.glob(".*.tmp"):
        # What cannot be deleted now, such as a file open on NFS, is deleted at the next save.
        shutil.rmtree(leftover, ignore_errors=True)


def _write(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write all files and sync them to disk."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    for folder in {(directory / name).parent for name in files} | {directory}:
        sync_directory(folder)
