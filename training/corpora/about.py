"""About: what lies beside a set, `_about.txt`: origin, licence, attribution and checksums.

The checksums are in the format of sha256sum, so that `sha256sum --check --ignore-missing` takes the
file. They are those of what was fetched and of what was made of it: a source that changes where it
lies has no other.
"""

import datetime
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from model.errors import DataError
from model.io.lines import atomic_output
from training.corpora.catalogue import PublicSet

NAME = "_about.txt"
_MADE_BY = "Fetched by dragoman-data"
_CHECKSUM = re.compile(r"^([0-9a-f]{64})  (\S+)$", flags=re.MULTILINE)


def read_checksums(folder: Path) -> dict[str, str] | None:
    """The SHA-256 digests that `folder` was left with, by file name; None without an
    `_about.txt` of this command.

    Raises:
        DataError: it cannot be read.
    """
    path = folder / NAME
    try:
        text = path.read_bytes().decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Remove it.") from error
    if not text.startswith(_MADE_BY):
        return None
    return {name: digest for digest, name in _CHECKSUM.findall(text)}


def write_about(public: PublicSet, folder: Path, checksums: Mapping[str, str]) -> None:
    """Write `_about.txt` with these SHA-256 digests by file name.

    Raises:
        DataError: it cannot be written.
    """
    urls = "".join(f"  {one.url}\n" for one in public.sources)
    lines = "".join(f"{digest}  {name}\n" for name, digest in checksums.items())
    text = (
        f"{_MADE_BY}, {datetime.date.today():%Y-%m-%d}.\n\n"
        f"{public.name}: {public.content}\n"
        f"From: {public.origin}\n{urls}"
        f"Licence: {public.licence}; {public.models}.\n"
        f"Attribution: {public.attribution}\n"
        f"Note: {public.note}\n\n"
        f"SHA-256 of what was fetched and of what was made of it:\n\n{lines}"
    )
    with atomic_output(folder / NAME) as file:
        file.write(text.encode())


def sha256(path: Path) -> str:
    """The SHA-256 digest of a file, in hexadecimal digits.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Remove it.") from error
