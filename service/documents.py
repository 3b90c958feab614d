"""Documents: a text cut into sentences that are translated one by one, and joined again exactly.

Every character between two sentences, line breaks above all, is kept: what was cut is the text,
whatever the library that finds the sentences does.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sentencex

from model.alignment import word_count
from model.translation import TextHypothesis, Translation, best_combinations

LONG = 200
"""Characters of a text, or of a line of it, that is translated as one, whatever is in it."""

_LINE_BREAK = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_SPACE = re.compile(r"\s")
_KEYCAP = re.compile("[0-9#*]\ufe0f?\u20e3")
_WORDLESS = {"So", "Sk", "Cf", "Mn", "Me", "Zs", "Zl", "Zp"}
"""Categories of emoji, of what modifies and joins them, and of spaces."""


class Sentence(NamedTuple):
    """A part of a text that is translated."""

    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A text as its parts, in order: what is translated, and what stays as it is."""

    parts: tuple[Sentence | str, ...]

    @property
    def sentences(self) -> list[str]:
        """What is to be translated; nothing of a text without words."""
        return [part.text for part in self.parts if isinstance(part, Sentence)]

    def beginning(self, translations: Sequence[Translation]) -> str:
        """The translation of the text up to the last of these sentences, the first ones."""
        remaining = iter(translations)
        begun = []
        for part in self.parts:
            if isinstance(part, Sentence):
                if (translation := next(remaining, None)) is None:
                    break
                begun.append(translation.text)
            else:
                begun.append(part)
        return "".join(begun)

    def join(self, translations: Sequence[Translation], n_best: int) -> Translation:
        """The translation of the text from that of each sentence.

        There are fewer than `n_best` hypotheses if there are fewer combinations.
        """
        if len(self.parts) == len(translations) == 1:
            return translations[0]
        joined: dict[str, TextHypothesis] = {}
        for chosen in best_combinations([each.hypotheses for each in translations], n_best):
            hypothesis = self._joined(chosen, translations)
            joined.setdefault(hypothesis.translation, hypothesis)
        return Translation(
            hypotheses=tuple(joined.values()),
            source_pieces=tuple(piece for each in translations for piece in each.source_pieces),
        )

    def _joined(
        self, chosen: Sequence[TextHypothesis], translations: Sequence[Translation]
    ) -> TextHypothesis:
        remaining = iter(chosen)
        text = [next(remaining).translation if isinstance(p, Sentence) else p for p in self.parts]
        alignment: list[int] = []
        words: list[int] = []
        offset = word_offset = 0
        for hypothesis, translation in zip(chosen, translations, strict=True):
            alignment += [offset + place for place in hypothesis.alignment]
            words += [word_offset + place for place in hypothesis.word_alignment]
            offset += len(translation.source_pieces)
            word_offset += word_count(translation.source_pieces)
        return TextHypothesis(
            translation="".join(text),
            score=sum((h.score for h in chosen), start=0.0),
            log_prob=sum((h.log_prob for h in chosen), start=0.0),
            pieces=tuple(piece for h in chosen for piece in h.pieces),
            alignment=tuple(alignment),
            token_log_probs=tuple(x for h in chosen for x in h.token_log_probs),
            word_alignment=tuple(words),
            truncated=any(h.truncated for h in chosen),
            weights=chosen[0].weights if len(chosen) == 1 else None,
        )


def is_long(text: str) -> bool:
    """Whether `text` is cut at all. It does not depend on the model."""
    return len(text) > LONG or _LINE_BREAK.search(text.strip()) is not None


def has_words(text: str) -> bool:
    """Whether there is anything to translate: not in a blank text, nor in one of emoji alone."""
    text = _KEYCAP.sub("", text)
    return any(not c.isspace() and unicodedata.category(c) not in _WORDLESS for c in text)


def whole(text: str) -> Document:
    """`text` as one sentence, or as none if it has no words."""
    return Document((Sentence(text) if has_words(text) else text,))


def cut(text: str, language: str | None) -> Document:
    """`text` as its lines, those that are long as their sentences.

    Args:
        language: of the text, such as "de", whose abbreviations end no sentence.
    """
    if not is_long(text):
        return whole(text)
    parts: list[Sentence | str] = []
    for line in text.splitlines(keepends=True):
        for stretch in _sentences(line, language or "en"):
            core = stretch.strip()
            start = len(stretch) - len(stretch.lstrip())
            around = (stretch[:start], stretch[start + len(core) :])
            parts += [around[0], Sentence(core) if has_words(core) else core, around[1]]
    return Document(tuple(part for part in parts if part != ""))


def _sentences(line: str, language: str) -> Iterator[str]:
    """`line` in stretches of a sentence each, with all white space."""
    # Other spaces than the plain one make sentencex lose text or panic.
    found = _segments(_SPACE.sub(" ", line), language) if len(line) > LONG else [line]
    if sum(map(len, found)) != len(line):
        found = [line]
    start = 0
    for stretch in found:
        yield line[start : start + len(stretch)]
        start += len(stretch)


def _segments(line: str, language: str) -> list[str]:
    try:
        found = list(sentencex.segment(language, line))
    except BaseException as error:
        # A panic in Rust is no Exception. The line goes on as one: the model's own cutting follows.
        if type(error).__name__ != "PanicException":
            raise
        return [line]
    return found if "".join(found) == line else [line]
