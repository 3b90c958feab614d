"""arXiv: abstracts and titles out of the metadata of all its papers, a JSON object in each line."""

import hashlib
import heapq
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from model.errors import DataError
from training.corpora.archive import REMEDY, archived_lines
from training.corpora.splits import Pair

MEMBER = "arxiv-metadata-oai-snapshot.json"
FIELDS = frozenset(("cs.AI", "cs.CL", "cs.CV"))
FIRST_MONTH, LAST_MONTH = "2502", "2606"  # of the identifiers, which begin with year and month
ABSTRACT_WORDS, TITLE_WORDS = (30, 400), (3, 30)
PAPERS = 75_000


def read_pairs(archive: Path) -> list[Pair]:
    """The abstracts and titles of at most `PAPERS` papers: those with the least digests of ids.

    Raises:
        DataError: the archive is damaged, or a line is not what arXiv publishes.
    """
    chosen = heapq.nsmallest(PAPERS, _papers(archive))
    return [pair for _, pair in chosen]


def _papers(archive: Path) -> Iterator[tuple[str, Pair]]:
    """The papers of our months and fields whose texts have a usual length, with digests of ids."""
    for number, line in enumerate(archived_lines(archive, MEMBER), 1):
        try:
            paper = json.loads(line)
            month, categories = paper["id"][:4], paper["categories"].split()
            texts = paper["abstract"], paper["title"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{archive}, {MEMBER}, line {number}: not the metadata of a paper. {REMEDY}"
            ) from error
        if FIRST_MONTH <= month <= LAST_MONTH and FIELDS.intersection(categories):
            abstract, title = (_joined(text) for text in texts)
            if _fits(abstract, ABSTRACT_WORDS) and _fits(title, TITLE_WORDS):
                yield hashlib.sha256(paper["id"].encode()).hexdigest(), (abstract, title)


def _joined(text: str) -> str:
    """Undo the line breaks of a text."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _fits(text: str, words: tuple[int, int]) -> bool:
    return words[0] <= len(text.split()) <= words[1]
