"""Streaming: the beginning of a translation as text that will not change any more."""

import unicodedata

from model.text.tokenizer import Tokenizer
from model.translation import Plan


class Growing:
    """The translation of one streamed text, as far as it is certain."""

    def __init__(self, plan: Plan, tokenizer: Tokenizer) -> None:
        self._plan, self._tokenizer = plan, tokenizer
        count = sum(isinstance(part, tuple) for part in plan)
        self._parts: list[str | None] = [None] * count  # None: nothing is known
        self._done = [False] * count
        self._told = ""

    def grow(self, number: int, pieces: tuple[int, ...], *, done: bool) -> str | None:
        """The part `number` of the text begins with `pieces`, and ends with them if `done`.

        Returns:
            What the whole translation begins with, if that is more than was told before.
        """
        self._parts[number] = self._tokenizer.decode(pieces)
        self._done[number] = done
        text = whole_words(self._certain())
        if len(text) <= len(self._told):
            return None
        self._told = text
        return text

    def _certain(self) -> str:
        """The text up to the first part that is not over."""
        found = ""
        number = 0
        for part in self._plan:
            if isinstance(part, str):
                found += part
                continue
            found += self._parts[number] or ""
            if not self._done[number]:
                break
            number += 1
        return found


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
