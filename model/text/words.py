"""Words: where they begin and end, and whether a phrase occurs in a text as whole words."""

import unicodedata


def joins(character: str) -> bool:
    """Tell whether `character` forms words with its neighbours.

    Letters, digits and combining marks do. Wide characters, as in Chinese and Japanese, are words
    by themselves.
    """
    if unicodedata.east_asian_width(character) in "WF":
        return False
    return unicodedata.category(character)[0] in "LNM"


def cleaned(phrase: str) -> str:
    """`phrase` in Unicode normal form C, as the tokenizer sees it, and stripped."""
    return unicodedata.normalize("NFC", phrase).strip()


def occurs(phrase: str, text: str) -> bool:
    """Tell whether `phrase` occurs in `text` as whole words; both must be `cleaned`.

    Where the phrase begins or ends with a character that `joins`, no other one may be next to it.
    """
    start = text.find(phrase)
    while start >= 0:
        end = start + len(phrase)
        before, after = text[max(start - 1, 0) : start], text[end : end + 1]
        if not (_joined(before, phrase[0]) or _joined(phrase[-1], after)):
            return True
        start = text.find(phrase, start + 1)
    return False


def _joined(left: str, right: str) -> bool:
    """Whether two characters, either of which may be "", belong to one word."""
    return bool(left and right) and joins(left) and joins(right)
