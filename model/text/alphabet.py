"""Alphabet: the closed set of symbols of a model that reads no text, and how lines are cut into
them.

It is what `symbols.json` of a checkpoint holds, which stands there in the place of a tokenizer.
"""

import unicodedata
from dataclasses import dataclass
from typing import Literal

from model.errors import ConfigError
from model.text.printable import shortened

Unit = Literal["characters", "spaced"]

MAX_SYMBOLS = 20_000
"""Most symbols of both sides together: every sign of the largest scripts in use."""
MAX_SYMBOL = 100
"""The longest symbol, in characters: a line is as long as its symbols together."""

_SHOWN = 40  # characters of a wrong symbol


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """How the lines of one side are cut into symbols, and made of them again."""

    unit: Unit
    """Each character is a symbol, or each word between white space."""
    ignore_spaces: bool = False
    """White space between characters is no symbol: "a b" is read as "ab"."""
    ignore_case: bool = False
    """Capitals are read as small letters: "Paris" as "paris"."""

    def __post_init__(self) -> None:
        if self.ignore_spaces and self.unit == "spaced":
            raise ConfigError(
                "ignore_spaces: spaced symbols need the spaces between them. Leave it out, or use "
                "unit: characters."
            )

    def cut(self, line: str) -> list[str]:
        """The symbols of `line`, in Unicode normal form C."""
        plain = unicodedata.normalize("NFC", line.lower() if self.ignore_case else line)
        if self.unit == "spaced":
            return plain.split()
        return list("".join(plain.split()) if self.ignore_spaces else plain)

    def join(self, symbols: list[str]) -> str:
        """The line that is cut into `symbols`."""
        return (" " if self.unit == "spaced" else "").join(symbols)


@dataclass(frozen=True, kw_only=True, slots=True)
class Alphabet:
    """The symbols of both sides in one list, which gives them their ids, and how lines are cut."""

    source: Cut | None
    """None if the model reads vectors in place of lines."""
    target: Cut | None
    """None if it writes vectors."""
    symbols: tuple[str, ...]
    """Ascending by their code points."""
    read: tuple[str, ...] = ()
    """Those that sources may have: a letter is not the phone that is written alike. Empty if any
    may, as in checkpoints of before they were told apart."""

    def __post_init__(self) -> None:
        count = len(self.symbols)
        if not 1 <= count <= MAX_SYMBOLS:
            raise ConfigError(
                f"symbols: {count:,} symbols, but an alphabet has 1 to {MAX_SYMBOLS:,}. Use "
                "kind: pieces for text whose symbols are not a closed set."
            )
        if strange := set(self.read) - set(self.symbols):
            raise ConfigError(
                f"read: {shortened(ascii(min(strange)), _SHOWN)} is none of the symbols. Use an "
                "undamaged file."
            )
        for symbol in self.symbols:
            if not is_symbol(symbol):
                raise ConfigError(
                    f"symbols: {shortened(ascii(symbol), _SHOWN)} is no symbol, which has 1 to "
                    f"{MAX_SYMBOL} printable characters. Use an undamaged file."
                )
        for before, after in zip(self.symbols, self.symbols[1:], strict=False):
            if before >= after:
                raise ConfigError(
                    f"symbols: {shortened(ascii(after), _SHOWN)} is there twice or out of order. "
                    "Use an undamaged file."
                )

    def describe(self) -> str:
        """How lines are cut and how many symbols there are, for people."""
        source, target = (cut.unit if cut else "vectors" for cut in (self.source, self.target))
        return f"{source} to {target}, {len(self.symbols):,} symbols"


def is_symbol(text: str) -> bool:
    """Whether `text` can be a symbol: a space, or printable characters in normal form C."""
    if not 1 <= len(text) <= MAX_SYMBOL or not text.isprintable():
        return False
    return text == " " or (" " not in text and unicodedata.is_normalized("NFC", text))
