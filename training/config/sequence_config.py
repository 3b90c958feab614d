"""SequenceConfig: what a model reads or writes, for each of its two sides."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from model.errors import ConfigError
from model.text.alphabet import Cut, Unit
from model.text.kind import Kind

KINDS = (
    ("pieces", "pieces"),
    ("symbols", "symbols"),
    ("vectors", "vectors"),
    ("vectors", "symbols"),
    ("vectors", "pieces"),
    ("symbols", "vectors"),
    ("pieces", "vectors"),
)
"""The kinds of source and target that go together: all but pieces with symbols."""


def kind_of(values: Mapping[str, object], side: str) -> object:
    """The kind of `side`, source or target, in a config as it is written."""
    section = values.get(side)
    return section.get("kind", "pieces") if isinstance(section, dict) else "pieces"


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceConfig:
    """The kind of one side, source or target: pieces of text, symbols of a closed alphabet, or
    vectors of numbers."""

    kind: Kind = "pieces"
    """Pieces of text by the tokenizer, symbols (docs/symbols.md), or vectors (docs/vectors.md)."""
    unit: Unit | None = None
    """Of symbols, which need it: each character is one, or what white space separates."""
    ignore_spaces: bool = False
    """Of symbols that are characters: white space is none of them, so that "a b" is "ab"."""
    ignore_case: bool = False
    """Of symbols: capitals are read as small letters."""

    width: int = 0
    """Of vectors, which need it: how many numbers each has."""
    loss: Literal["mse", "mae"] | None = None
    """Of a target of vectors: the mean squared error (left out), or the mean absolute error."""
    length: int | Literal["source"] | None = None
    """Of a target of vectors: how many there are; `source` (left out) = one for each of those."""
    differences: bool = False
    """Of a target of vectors: learn the differences of consecutive ones, whose sum comes out."""

    def __post_init__(self) -> None:
        if self.kind == "vectors":
            self._check_vectors()
            return
        for name in ("width", "loss", "length", "differences"):
            if getattr(self, name):
                raise ConfigError(f"{name}: it is for vectors. Leave it out, or set kind: vectors.")
        if self.kind == "pieces":
            if given := self._of_symbols():
                raise ConfigError(
                    f"{given[0]}: it is for symbols. Leave it out, or set kind: symbols."
                )
            return
        if self.unit is None:
            raise ConfigError(
                "unit: missing. Use characters, or spaced for symbols with white space between "
                "them."
            )
        self.cut()

    def _of_symbols(self) -> list[str]:
        """The keys that are given and that only symbols have."""
        return [name for name in ("unit", "ignore_spaces", "ignore_case") if getattr(self, name)]

    def _check_vectors(self) -> None:
        if given := self._of_symbols():
            raise ConfigError(f"{given[0]}: it is for symbols. Leave it out.")
        if self.width < 1:
            raise ConfigError("width: missing, or below 1. Say how many numbers a vector has.")
        if isinstance(self.length, int) and self.length < 1:
            raise ConfigError(f"length: {self.length} is too small. Use 1 or more, or source.")

    @property
    def steps(self) -> int:
        """`length` as a number; 0 for one vector for each of the source."""
        return self.length if isinstance(self.length, int) else 0

    def cut(self) -> Cut:
        """How lines are cut into symbols; there are some."""
        assert self.unit is not None
        return Cut(unit=self.unit, ignore_spaces=self.ignore_spaces, ignore_case=self.ignore_case)
