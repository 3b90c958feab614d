"""Letters and digits of a text, by which two texts are compared whatever their form."""

import re
import unicodedata

_SIGNS = re.compile(r"[\W_]+")


def folded(text: str) -> str:
    """Fold the case of a text and the forms of its characters (NFKC)."""
    return unicodedata.normalize("NFKC", text).casefold()


def letters_and_digits(text: str) -> str:
    """Reduce a text to its letters and digits, case-folded; to nothing if it has none."""
    return _SIGNS.sub("", folded(text))
