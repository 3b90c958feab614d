"""Held-out sets: the test files of public sets, by task and languages, and published figures."""

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from model.errors import DataError
from model.io.lines import read_lines
from model.text.languages import languages_agree
from model.text.profile import TextProfile


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """Two files below the folder of all sets whose lines belong together."""

    name: str
    task: str
    languages: tuple[str, str]
    """Of the source and of the reference."""
    source: str
    reference: str

    def suits(self, profile: TextProfile) -> bool:
        """Whether a model of that profile can be tested with it."""
        return profile.task == self.task and has_languages(profile, self.languages)

    def missing(self, data: Path) -> Path | None:
        """The first of its files that is not in the folder `data`; None if both are."""
        paths = data / self.source, data / self.reference
        return next((path for path in paths if not path.is_file()), None)

    def read(self, data: Path, lines: int | None) -> tuple[list[str], list[str]]:
        """Read sources and references, only the first `lines` unless that is None.

        Raises:
            DataError: they have different numbers of lines, or none.
        """
        sources = list(read_lines(data / self.source))
        references = list(read_lines(data / self.reference))
        if len(sources) != len(references) or not sources:
            raise DataError(
                f"{data / self.source} has {len(sources):,} lines, and {data / self.reference} "
                f"{len(references):,}. Get both from the same place again."
            )
        return sources[:lines], references[:lines]


def has_languages(profile: TextProfile, languages: tuple[str, str]) -> bool:
    """Whether a model is known to read the first of `languages` and to write the second."""
    theirs = profile.source_language, profile.target_language
    return all(theirs) and all(map(languages_agree, languages, theirs))


def _translations(name: str, stem: str, languages: tuple[str, ...]) -> tuple[HeldOut, ...]:
    """A set in several languages, in every direction."""
    return tuple(
        HeldOut(
            name=f"{name} {source}-{target}",
            task="translate",
            languages=(source, target),
            source=f"{stem}.{source}.gz",
            reference=f"{stem}.{target}.gz",
        )
        for source, target in permutations(languages, 2)
    )


SETS = (
    *_translations("Tatoeba", "tatoeba-de-en/test", ("de", "en")),
    *_translations("Tatoeba", "tatoeba-fr-en/test", ("fr", "en")),
    *_translations("Multi30k", "multi30k/test_2016_flickr", ("de", "en", "fr")),
    HeldOut(
        name="arXiv titles",
        task="summarize",
        languages=("en", "en"),
        source="arxiv-titles/test.abstract.gz",
        reference="arxiv-titles/test.title.gz",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What the authors of another system say of it."""

    name: str
    """Of the held-out set."""
    system: str
    bleu: float
    chrf: float | None
    """0 to 100, as here; None if it was not published."""
    conditions: str
    source: str


_CARD = "its model card on Hugging Face"
PUBLISHED = (
    Published(
        name="Tatoeba de-en",
        system="Helsinki-NLP/opus-mt-de-en",
        bleu=55.4,
        chrf=70.7,
        conditions="another Tatoeba test file, sentences of which its training data may have",
        source=_CARD,
    ),
    Published(
        name="Tatoeba de-en",
        system="Tatoeba-Challenge gem-eng, deu-eng",
        bleu=48.7,
        chrf=65.9,
        conditions="another Tatoeba test file",
        source="github.com/Helsinki-NLP/Tatoeba-Challenge",
    ),
    Published(
        name="Tatoeba en-de",
        system="Helsinki-NLP/opus-mt-en-de",
        bleu=47.3,
        chrf=66.4,
        conditions="another Tatoeba test file, sentences of which its training data may have",
        source=_CARD,
    ),
    Published(
        name="Multi30k de-en",
        system="msarmi9/multi30k, Bahdanau RNN",
        bleu=33.47,
        chrf=None,
        conditions="the same test file; BLEU of torch, not of sacrebleu",
        source=_CARD,
    ),
)
