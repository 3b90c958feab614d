"""Tatoeba: the pairs of an archive of www.manythings.org/anki.

`deu.txt` has a line for each pair: English TAB German, since 2019 also TAB attribution.
"""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

from model.errors import DataError
from training.corpora.archive import REMEDY, archived_lines
from training.corpora.splits import Pair

MEMBER = "deu.txt"


def read_pairs(archive: Path) -> Iterator[Pair]:
    """The pairs of `archive`, German and English, in NFC.

    Raises:
        DataError: the archive is damaged, or a line has no tab.
    """
    for number, line in enumerate(archived_lines(archive, MEMBER), 1):
        columns = unicodedata.normalize("NFC", line).split("\t")
        if len(columns) < 2:
            raise DataError(f"{archive}, {MEMBER}, line {number}: no tab in it. {REMEDY}")
        yield columns[1].strip(), columns[0].strip()
