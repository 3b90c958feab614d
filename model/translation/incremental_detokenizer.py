"""Incremental detokenizer: decodes the stable prefix of a translation that is streamed."""

import unicodedata

from model.text.segmentation import Plan
from model.text.tokenizer import Tokenizer

GROWTH_SHARE = 32
"""A prefix is sent when it is longer than the last one by 1/32, so at first with each new word."""


class IncrementalDetokenizer:
    """The stable prefix of the translation of one streamed text."""

    def __init__(self, plan: Plan, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._parts = plan.parts
        self._next = 0  # index of the first of `_parts` that is not stable
        self._current = 0  # number of the first sentence that is not stable
        self._finished: dict[int, str] = {}  # sentences finished before those that precede them
        self._stable: list[str] = []
        self._length = 0  # of the stable parts, in characters
        self._emitted = 0  # length of the last prefix returned

    def update(self, number: int, pieces: tuple[int, ...], *, done: bool) -> str | None:
        """Set the stable `pieces` of sentence `number`; with `done` they are all of it.

        Returns:
            The stable prefix of the whole translation, if it is longer than the last one returned.
        """
        if done:
            self._finished[number] = self._tokenizer.decode(pieces)
        elif number != self._current:
            return None
        self._advance()
        growing = "" if done else self._tokenizer.decode(pieces)
        # Each event repeats the whole prefix; requiring growth by a share keeps the total linear.
        if self._length + len(growing) < self._emitted + max(1, self._emitted // GROWTH_SHARE):
            return None
        text = whole_words("".join(self._stable) + growing)
        if len(text) <= self._emitted:
            return None
        self._emitted = len(text)
        return text

    def _advance(self) -> None:
        """Append all parts that have become stable."""
        while self._next < len(self._parts):
            part = self._parts[self._next]
            if isinstance(part, tuple):
                if self._current not in self._finished:
                    return
                part = self._finished.pop(self._current)
                self._current += 1
            self._stable.append(part)
            self._length += len(part)
            self._next += 1


def whole_words(text: str) -> str:
    """Return `text` without its last word, which may still grow.

    Each wide character, as in Chinese and Japanese, counts as a word.
    """
    for end in range(len(text), 0, -1):
        character = text[end - 1]
        if character.isspace():
            return text[: end - 1]
        if unicodedata.east_asian_width(character) in "WF":
            return text[:end]
    return ""
