"""Incremental detokenizer: the beginning of a translation as text that will not change any more."""

import unicodedata

from model.text.segmentation import Plan
from model.text.tokenizer import Tokenizer

SHARE = 32
"""A text is told again when it has grown by this share of what was told: by every word at first."""


class IncrementalDetokenizer:
    """The translation of one streamed text, as far as it is certain."""

    def __init__(self, plan: Plan, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._parts = plan.parts
        self._next = 0  # the first of `_parts` that is not certain
        self._current = 0  # the number of the source that is there
        self._over: dict[int, str] = {}  # sources that are over, before their turn
        self._certain: list[str] = []
        self._length = 0  # of what is certain, in characters
        self._told = 0

    def grow(self, number: int, pieces: tuple[int, ...], *, done: bool) -> str | None:
        """The part `number` of the text begins with `pieces`, and ends with them if `done`.

        Returns:
            What the whole translation begins with, if that is more than was told before.
        """
        if done:
            self._over[number] = self._tokenizer.decode(pieces)
        elif number != self._current:
            return None
        self._go_on()
        detokenizer = "" if done else self._tokenizer.decode(pieces)
        # Each time all of it is told: of a long text seldom enough that it does not add up.
        if self._length + len(detokenizer) < self._told + max(1, self._told // SHARE):
            return None
        text = whole_words("".join(self._certain) + detokenizer)
        if len(text) <= self._told:
            return None
        self._told = len(text)
        return text

    def _go_on(self) -> None:
        """Move over all parts that are certain by now."""
        while self._next < len(self._parts):
            part = self._parts[self._next]
            if isinstance(part, tuple):
                if self._current not in self._over:
                    return
                part = self._over.pop(self._current)
                self._current += 1
            self._certain.append(part)
            self._length += len(part)
            self._next += 1


def whole_words(text: str) -> str:
    """`text` without its last word, which may still grow.

    Wide characters, as in Chinese and Japanese, are words by themselves.
    """
    for end in range(len(text), 0, -1):
        character = text[end - 1]
        if character.isspace():
            return text[: end - 1]
        if unicodedata.east_asian_width(character) in "WF":
            return text[:end]
    return ""
