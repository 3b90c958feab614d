"""The public sets that the configs name: where each lies, under which licence, and what it becomes.

Multi30k's MD5 digests are those that torchtext 0.10 records for the same addresses. Tatoeba's pairs
and arXiv's metadata are published anew from time to time under the same address, so that no digest
is known before the first fetch.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """A file to fetch."""

    name: str
    """The name under which it is kept."""
    url: str
    checksum: str | None = None
    """Algorithm and digest, such as "md5:d41d..."; None if the file changes where it lies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicSet:
    """A set: the files to fetch and the files that training reads."""

    name: str
    """Its folder, as the configs have it."""
    content: str
    size: str
    """About how much is fetched."""
    origin: str
    """Who publishes it, and on which page."""
    licence: str
    attribution: str
    models: str
    """What the licence means for a model that is trained on it."""
    note: str
    """How it relates to what the published figures were measured with."""
    preparation: Literal["none", "tatoeba", "arxiv"]
    """How the fetched files become those that training reads; "none": they are the same."""
    sources: tuple[SourceFile, ...]
    files: tuple[str, ...]
    """The names of what training reads."""

    def by_hand(self, base: Path) -> list[str]:
        """Say, in a line for each missing file, what to get from where and where to put it."""
        missing = [one for one in self.sources if not (base / self.name / one.name).exists()]
        return [
            f"get {one.url} and put it at {base / self.name / one.name} (licence: {self.licence})"
            for one in missing
        ]


_MULTI30K_URL = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw"
_MULTI30K_MD5 = {
    "train.en.gz": "0065d13af80720a55ca8153d126e6627",
    "train.de.gz": "81ff90b99829c0cd4b1b587d394afd39",
    "train.fr.gz": "6cb767741dcad3931f966fefbc05203f",
    "val.en.gz": "2b69aa9253948ac9f67e94917272dd40",
    "val.de.gz": "6e0e229eb049e3fc99a1ef02fb2d5f91",
    "val.fr.gz": "93fc564584b7e5ba410c761ea5a1c682",
    "test_2016_flickr.en.gz": "ff2c0fcb4893a13bd73414306bc250ae",
    "test_2016_flickr.de.gz": "efd67d314d98489b716b145475101932",
    "test_2016_flickr.fr.gz": "08dc7cd4a662f31718412de95ca9bfe3",
}

MULTI30K = PublicSet(
    name="multi30k",
    content="image captions in English, German and French: 29,000 / 1,014 / 1,000 lines",
    size="2 MB",
    origin="Multi30k, https://github.com/multi30k/dataset",
    licence="none stated in the repository, commonly taken as CC BY-NC-SA 4.0 (non-commercial)",
    attribution="Multi30k: Elliott et al. 2016 (https://aclanthology.org/W16-3210); French: "
    "Elliott et al. 2017 (https://aclanthology.org/W17-4718)",
    models="a model trained on it must not be shipped",
    note="The published figures were measured with commit a3d2e0d of the repository.",
    preparation="none",
    sources=tuple(
        SourceFile(name=name, url=f"{_MULTI30K_URL}/{name}", checksum=f"md5:{md5}")
        for name, md5 in _MULTI30K_MD5.items()
    ),
    files=tuple(_MULTI30K_MD5),
)

TATOEBA_DE_EN = PublicSet(
    name="tatoeba-de-en",
    content="short everyday sentences, German and English: over 150,000 pairs, 2,000, 2,000",
    size="10 MB",
    origin="Tatoeba, https://tatoeba.org, in pairs by https://www.manythings.org/anki",
    licence="CC BY 2.0 FR",
    attribution="tatoeba.org and www.manythings.org/anki",
    models="a trained model may be shipped with that attribution",
    note="The published figures were measured with the pairs of 2018-05-13, which are no longer "
    "published: other pairs, other splits, other figures.",
    preparation="tatoeba",
    sources=(SourceFile(name="deu-eng.zip", url="https://www.manythings.org/anki/deu-eng.zip"),),
    files=tuple(f"{split}.{side}.gz" for split in SPLITS for side in ("de", "en")),
)

ARXIV_TITLES = PublicSet(
    name="arxiv-titles",
    content="abstracts and titles of papers in computer science: 71,000 / 2,000 / 2,000",
    size="1.6 GB, of which 36 MB are kept as text",
    origin="arXiv, https://info.arxiv.org/help/bulk_data.html, by "
    "https://www.kaggle.com/datasets/Cornell-University/arxiv",
    licence="CC0 1.0 (https://info.arxiv.org/help/license: descriptive metadata)",
    attribution="arXiv descriptive metadata",
    models="a trained model may be shipped",
    note="Of the same months, fields and lengths as what the published figures were measured with, "
    "but not the same papers.",
    preparation="arxiv",
    sources=(
        SourceFile(
            name="arxiv.zip",
            url="https://www.kaggle.com/api/v1/datasets/download/Cornell-University/arxiv",
        ),
    ),
    files=tuple(f"{split}.{side}.gz" for split in SPLITS for side in ("abstract", "title")),
)

CATALOGUE = (MULTI30K, TATOEBA_DE_EN, ARXIV_TITLES)


def describe(public: PublicSet) -> str:
    """Describe a set in a few lines, as `dragoman-data list` does."""
    return "\n".join(
        (
            f"{public.name}: {public.content}",
            f"  from:        {public.origin} ({public.size})",
            f"  licence:     {public.licence}; {public.models}",
            f"  attribution: {public.attribution}",
            f"  note:        {public.note}",
        )
    )
