"""Names: acronyms, words with inner capitals, and numbers; and whether one stands in a text.

Words are divided by white space; signs at their ends do not count, nor does case. A sign is
whatever is neither a letter nor a digit nor another number.
"""

import re

_EDGES = re.compile(r"^[\W_]+|[\W_]+$")


def stripped_words(text: str) -> list[str]:
    """The words of `text` without the signs at their ends; none for what is signs only."""
    return [word for word in (_EDGES.sub("", part) for part in text.split()) if word]


def is_name(word: str) -> bool:
    """Whether it has a capital behind a letter, as acronyms and "BiLSTM" have, or a digit."""
    letters = list(filter(str.isalpha, word))
    return any(map(str.isupper, letters[1:])) or any(map(str.isdecimal, word))


def names_of(text: str) -> list[str]:
    """Find the acronyms, words with inner capitals, and numbers of `text`."""
    return [word for word in stripped_words(text) if is_name(word)]


def stands_in(name: str, source: str) -> bool:
    """Tell whether `name` stands in `source` as a whole; case does not count."""
    found = rf"(?<![^\W_]){re.escape(folded(name))}(?![^\W_])"
    return re.search(found, folded(source)) is not None


def folded(text: str) -> str:
    """`text` without case, letter by letter, so that its length is the same."""
    return "".join(map(_folded_character, text)) if not text.isascii() else text.lower()


def _folded_character(character: str) -> str:
    forms = (character.casefold(), character.lower(), character)
    return next(form for form in forms if len(form) == 1 and form.isalnum() == character.isalnum())
