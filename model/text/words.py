"""Words: where they begin and end, and whether a phrase stands in a text as whole words."""

import unicodedata


def joins(character: str) -> bool:
    """Whether it is part of a word, so that the same before or after it belong to that word.

    Letters, digits and marks are. Wide characters, as Chinese and Japanese use them, are words by
    themselves.
    """
    if unicodedata.east_asian_width(character) in "WF":
        return False
    return unicodedata.category(character)[0] in "LNM"


def cleaned(phrase: str) -> str:
    """In Unicode normal form C, as the tokenizer sees it, without white space at the ends."""
    return unicodedata.normalize("NFC", phrase).strip()


def occurs(phrase: str, text: str) -> bool:
    """Whether `phrase` stands in `text` as whole words; both as `cleaned` gives them.

    Where the phrase begins or ends with a character that joins, no other one is next to it.
    """
    start = text.find(phrase)
    while start >= 0:
        before, after = text[:start][-1:], text[start + len(phrase) :][:1]
        if not (_joined(before, phrase[0]) or _joined(phrase[-1], after)):
            return True
        start = text.find(phrase, start + 1)
    return False


def _joined(left: str, right: str) -> bool:
    """Whether two characters, either of which may be missing, belong to one word."""
    return bool(left and right) and joins(left) and joins(right)
