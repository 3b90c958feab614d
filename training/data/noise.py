"""Noise: sources as people type them, in other letters, without signs, with slips of the fingers.

Training on such sources makes a translator robust to them (Belinkov & Bisk 2018, "Synthetic and
natural noise both break neural machine translation"). Doubled spaces are no noise here: sources are
normalised before a model reads them (`model.text.normalization`).
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import product
from typing import Literal, get_args

import numpy as np

from model.text.tokenizer import UNK_ID, Tokenizer
from training.data.counter_rng import Keys, numbers
from training.data.indexed_corpus import Side

Kind = Literal["lower", "first", "upper", "final", "commas", "accents", "typos", "after comma"]
"""All in lower case; only the first letter; all in upper case; no final mark; no commas; plain
letters; one or two typos; no space after a comma."""
KINDS: tuple[Kind, ...] = get_args(Kind)

_FINAL = re.compile(r"\s*[.!?…\u3002\uff01\uff1f]+\s*\Z")
_COMMA = re.compile(r"(?<=\s),\s|,(?!\d)")  # not those within numbers
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]{3,}")
_GERMAN = {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ẞ": "SS"}
_CAPITALS = {letter: plain.upper() for letter, plain in _GERMAN.items()}
_ROWS = {
    "de": ("qwertzuiopü", "asdfghjklöä", "yxcvbnm"),
    "fr": ("azertyuiop", "qsdfghjklm", "wxcvbn"),
    "": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
}
"""Rows of keys by language; "" for any other. A row begins half a key further right than the one
above it."""
_TYPO = 3  # numbers that a typo takes
_DRAWS = len(KINDS) + 1 + 2 * _TYPO


def disturbed(
    sources: Side, keys: Keys, tokenizer: Tokenizer, *, share: float, language: str
) -> Side:
    """Disturb `share` of the sources, in their ordinary pieces, by one kind of noise each.

    A source with an unknown piece, of which the text is not known, stays as it is.

    Args:
        sources: N of them.
        keys: (N,) of random numbers, see `line_keys`.
        language: their tag, see `disturb`.
    """
    drawn = numbers(keys, np.full(len(keys), 2)).reshape(-1, 2)
    places = np.flatnonzero(drawn[:, 0] < np.uint64(int(share * 2**64))).tolist()
    sentences = sources.split()
    places = [place for place in places if UNK_ID not in sentences[place]]
    texts = [tokenizer.decode(sentences[place].tolist()) for place in places]
    own = drawn[places, 1].tolist()
    noisy = [disturb(text, language, key) for text, key in zip(texts, own, strict=True)]
    encoded = tokenizer.encode_lines(noisy)
    for place, text, new, ids in zip(places, texts, noisy, encoded, strict=True):
        if new != text:
            sentences[place] = np.array(ids, np.int32)
    return Side.joined(sentences)


def disturb(text: str, language: str, key: int) -> str:
    """Disturb `text` by one of `KINDS`, any of those that change it as likely as the others.

    A text that none changes, such as a number, is returned as it is.

    Args:
        language: BCP 47 tag, by which letters lose their accents and keys are neighbours; "" if
            unknown.
        key: 64 random bits, from which all else follows.
    """
    count = np.array([_DRAWS])
    draws: list[int] = numbers(np.array([key], np.uint64), count).tolist()
    main = language.partition("-")[0]
    for _, kind in sorted(zip(draws, KINDS, strict=False)):
        changed = _by_kind(kind, text, main, draws[len(KINDS) :])
        if changed != text and changed.strip():
            return changed
    return text


def _by_kind(kind: Kind, text: str, language: str, draws: Sequence[int]) -> str:
    match kind:
        case "lower":
            return text.lower()
        case "first":
            return _LETTER.sub(lambda letter: letter[0].lower(), text, count=1)
        case "upper":
            return text.upper()
        case "final":
            return _FINAL.sub("", text)
        case "commas":
            return _COMMA.sub("", text)
        case "accents":
            return _without_accents(text, language)
        case "typos":
            return _with_typos(text, language, draws)
        case "after comma":
            return text.replace(", ", ",")


def _without_accents(text: str, language: str) -> str:
    """Write German umlauts and ß in two letters, or other accented Latin letters in plain ones."""
    if language == "de":
        table = _CAPITALS if text.isupper() else _GERMAN
        return "".join(table.get(letter, letter) for letter in text)
    bases = [unicodedata.normalize("NFD", letter)[0] for letter in text]
    return "".join(
        base if base.isascii() and base.isalpha() else letter
        for letter, base in zip(text, bases, strict=True)
    )


def _with_typos(text: str, language: str, draws: Sequence[int]) -> str:
    """Make one or two typos, within words of three letters or more, after their first letter."""
    for start in range(1, 2 + draws[0] % 2 * _TYPO, _TYPO):
        words = [word.span() for word in _WORD.finditer(text)]
        places = [(place, end) for first, end in words for place in range(first + 1, end)]
        if places:
            which, kind, near = draws[start : start + _TYPO]
            place, end = places[which % len(places)]
            text = text[:place] + _typo(text, place, end, language, kind, near)
    return text


def _typo(text: str, place: int, end: int, language: str, kind: int, near: int) -> str:
    """Give what follows before `place` a typo, in a word that ends at `end`."""
    letter, rest = text[place], text[place + 1 :]
    close = _NEAR.get(language, _NEAR[""]).get(letter.lower(), [])
    match kind % 4:
        case 0:
            return letter + letter + rest
        case 1 if close:
            key = close[near % len(close)]
            return (key.upper() if letter.isupper() else key) + rest
        case 2 if place + 1 < end:
            return rest[0] + letter + rest[1:]
        case _:
            return rest


def _neighbours(rows: Sequence[str]) -> dict[str, list[str]]:
    """List the keys that touch each key, in the same row or the next."""
    keys = {
        (2 * at + down, down): key for down, row in enumerate(rows) for at, key in enumerate(row)
    }
    touching = [(-2, 0), (2, 0), *product((-1, 1), (-1, 1))]
    return {
        key: [
            keys[x + right, y + down] for right, down in touching if (x + right, y + down) in keys
        ]
        for (x, y), key in keys.items()
    }


_NEAR = {language: _neighbours(rows) for language, rows in _ROWS.items()}
