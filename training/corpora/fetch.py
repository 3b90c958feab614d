"""Fetching a set: what is missing is downloaded, checked, made into splits, and described."""

import sys
from collections.abc import Iterable
from pathlib import Path

import pooch
import requests

from model.errors import DataError
from model.io.lines import atomic_output
from model.io.progress import line_progress
from training.corpora import arxiv, tatoeba
from training.corpora.about import NAME, read_checksums, sha256, write_about
from training.corpora.byte_progress import byte_progress
from training.corpora.catalogue import PublicSet, SourceFile
from training.corpora.download import BROKEN, ResumingDownloader
from training.corpora.splits import Pair, split_pairs

HELD_OUT = 2000
"""Pairs at least in the dev and in the test split of what is made here."""


def fetch_set(public: PublicSet, base: Path, held_out: int = HELD_OUT) -> str:
    """Bring `public` into the folder of its name in `base`, and say in a line what was done.

    A file that is there already is checked, and never overwritten. What is missing is downloaded;
    what came of a download that was interrupted is used, and splits that were are made again.
    Without a connection, stderr gets a line for each missing file that says what to put where.

    Raises:
        DataError: no connection, a wrong checksum, a file that is in the way, or no room.
    """
    folder = base / public.name
    recorded = read_checksums(folder)
    present = [name for name in public.files if (folder / name).exists()]
    complete = len(present) == len(public.files)
    if recorded is not None:
        known = [name for name in present if name in recorded]
        for name in known:
            _check_recorded(folder / name, recorded)
        if len(known) == len(public.files):  # else the splits were interrupted, and are made again
            return f"{folder}: complete, and as it was written. Nothing to do."
    elif public.preparation != "none" and complete:
        return f"{folder}: has all files, from elsewhere, and is left as it is. Nothing to do."
    elif public.preparation != "none" and present:
        raise DataError(
            f"{folder / present[0]}: is not of dragoman-data. Move it away, or give another DIR."
        )
    if recorded is None and (folder / NAME).exists():
        raise DataError(f"{folder / NAME}: is not of dragoman-data. Move it or give another DIR.")
    _fetch_files(public, base, recorded or {})
    checksums = {one.name: sha256(folder / one.name) for one in public.sources}
    if public.preparation != "none":
        splits = _split(public, folder, held_out)
        write_about(public, folder, checksums)  # from here on, files without a checksum are ours
        _write(public, folder, splits)
        checksums |= {name: sha256(folder / name) for name in public.files}
    write_about(public, folder, checksums)
    return f"{folder}: {len(public.files)} files, described in {folder / NAME}."


def _fetch_files(public: PublicSet, base: Path, recorded: dict[str, str]) -> None:
    """Download what is missing, and turn what goes wrong into a line that says what to do.

    Raises:
        DataError: see `fetch_set`.
    """
    folder = base / public.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in public.sources:
            _fetch_file(one, folder, recorded)
    except BROKEN as error:
        print("\n".join(public.by_hand(base)), file=sys.stderr)
        raise DataError(
            f"no connection, or one that broke ({_reason(error)}). Give the same command again; or "
            "get what the lines above name on another machine, and then give it."
        ) from error
    except requests.RequestException as error:
        print("\n".join(public.by_hand(base)), file=sys.stderr)
        raise DataError(
            f"refused ({error}). The address may have moved: get what the lines above name from "
            f"{public.origin}, and give the same command."
        ) from error
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror}). Make room or give another DIR; what "
            "has come is kept."
        ) from error


def _check_recorded(path: Path, recorded: dict[str, str]) -> None:
    """Check that a file is what `_about.txt` says.

    Raises:
        DataError: it is not.
    """
    found = sha256(path)
    if found != recorded.get(path.name):
        raise DataError(
            f"{path}: has SHA-256 {found}, not {recorded.get(path.name)} as {NAME} says. Move all "
            f"of {path.parent} away, and give the same command, to have it anew."
        )


def _fetch_file(one: SourceFile, folder: Path, recorded: dict[str, str]) -> None:
    """Download a file unless it is there, and check it either way.

    Raises:
        DataError: its checksum is wrong.
    """
    path = folder / one.name
    expected = one.checksum or recorded.get(one.name)
    if path.exists():
        _check(path, expected, one)
        return
    partial = path.with_name(f"{one.name}.part")
    with byte_progress(one.name) as progress:
        downloader = ResumingDownloader(
            partial=partial, digest_known=expected is not None, progress=progress
        )
        try:
            pooch.retrieve(one.url, expected, fname=one.name, path=folder, downloader=downloader)
        except ValueError as error:  # pooch has removed it
            raise DataError(
                f"{one.url}: what came has another checksum than {expected}, and is not kept. "
                "Give the same command again. If this happens twice, the file has changed there: "
                f"{_changed(one, folder)}"
            ) from error


def _check(path: Path, expected: str | None, one: SourceFile) -> None:
    """Check a file that is there already.

    Raises:
        DataError: its checksum is wrong, or it cannot be read.
    """
    algorithm, _, digest = (expected or "").rpartition(":")
    try:
        found = pooch.file_hash(str(path), alg=algorithm or "sha256")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Remove it.") from error
    if expected and found != digest:
        raise DataError(
            f"{path}: has {(algorithm or 'sha256').upper()} {found}, not {digest} as at {one.url}. "
            "Move it away, and give the same command."
        )


def _changed(one: SourceFile, folder: Path) -> str:
    if one.checksum is None:
        return f"move {folder} away to begin with what is there now."
    return f"put a file with that checksum at {folder / one.name}."


def _split(public: PublicSet, folder: Path, held_out: int) -> dict[str, list[Pair]]:
    """Split the pairs of the fetched archive.

    Raises:
        DataError: the archive is damaged or empty.
    """
    archive = folder / public.sources[0].name
    read = tatoeba.read_pairs if public.preparation == "tatoeba" else arxiv.read_pairs
    splits = split_pairs(_counted(read(archive)), held_out)
    if not all(splits.values()):
        raise DataError(
            f"{archive}: has too few pairs for train, dev and test. Remove it, and give the same "
            "command."
        )
    return splits


def _write(public: PublicSet, folder: Path, splits: dict[str, list[Pair]]) -> None:
    """Write the files that training reads.

    Raises:
        DataError: they cannot be written.
    """
    for name in public.files:
        split, side, _ = name.split(".")
        column = 0 if side == public.files[0].split(".")[1] else 1
        with atomic_output(folder / name) as file:
            file.writelines(f"{pair[column]}\n".encode() for pair in splits[split])


def _counted(pairs: Iterable[Pair]) -> Iterable[Pair]:
    """Show the progress of reading."""
    with line_progress("dragoman-data", None) as count:
        for pair in pairs:
            count(1)
            yield pair


def _reason(error: BaseException) -> str:
    """The innermost reason of a broken connection, without the objects around it."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
