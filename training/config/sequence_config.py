"""SequenceConfig: what a model reads or writes, for each of its two sides."""

from dataclasses import dataclass
from typing import Literal

from model.errors import ConfigError
from model.text.alphabet import Cut, Unit


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceConfig:
    """The kind of one side, source or target: pieces of text, or symbols of a closed alphabet."""

    kind: Literal["pieces", "symbols"] = "pieces"
    """Pieces of text by the tokenizer, or symbols; docs/symbols.md."""
    unit: Unit | None = None
    """Of symbols, which need it: each character is one, or what white space separates."""
    ignore_spaces: bool = False
    """Of symbols that are characters: white space is none of them, so that "a b" is "ab"."""

    def __post_init__(self) -> None:
        if self.kind == "pieces":
            if self.unit is not None or self.ignore_spaces:
                raise ConfigError(
                    f"{'ignore_spaces' if self.unit is None else 'unit'}: it is for symbols. Leave "
                    "it out, or set kind: symbols."
                )
            return
        if self.unit is None:
            raise ConfigError(
                "unit: missing. Use characters, or spaced for symbols with white space between "
                "them."
            )
        self.cut()

    def cut(self) -> Cut:
        """How lines are cut into symbols; there are some."""
        assert self.unit is not None
        return Cut(unit=self.unit, ignore_spaces=self.ignore_spaces)
