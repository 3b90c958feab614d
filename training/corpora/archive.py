"""Archive: the lines of one file inside a zip file, read where it is.

Nothing is unpacked, so no name in an archive can lead to a file outside.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from model.errors import DataError
from model.io.compression import ZIP_DAMAGE
from model.io.lines import iter_lines

REMEDY = "Remove it, and the same command fetches it again."


def archived_lines(archive: Path, member: str) -> Iterator[str]:
    """The lines of `member` of `archive`; see `model.io.lines.iter_lines`.

    Raises:
        DataError: the archive is damaged or has no such member, or the member is not UTF-8.
    """
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as file:
            yield from iter_lines(cast(BinaryIO, file), f"{archive}, {member}")
    except KeyError as error:
        raise DataError(f"{archive}: has no file {member}. {REMEDY}") from error
    except ZIP_DAMAGE as error:
        why = str(error) or "it ends too soon"
        raise DataError(f"{archive}: is a damaged zip file ({why}). {REMEDY}") from error
