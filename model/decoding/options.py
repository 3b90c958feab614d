"""SearchOptions: how one sentence is searched, and what follows from it before the search."""

import math
from dataclasses import dataclass
from typing import Literal

from model.errors import ConfigError

MAX_BEAM_SIZE = 64
MAX_ALPHA = 5.0
# Wide bounds that keep the arithmetic finite; the engine has limits of its own.
MAX_LENGTH_A = 100.0
MAX_LENGTH_B = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchOptions:
    """How one sentence is searched. Flags, JSON fields and `decoding.json` use the same names."""

    beam_size: int = 5
    """Hypotheses kept side by side, 1 to 64; 1 is greedy search."""
    n_best: int = 1
    """Translations returned for a sentence, 1 to `beam_size`."""
    length_penalty: Literal["gnmt", "power", "none"] = "gnmt"
    alpha: float = 1.0
    """Exponent of the length penalty, 0 to 5; more favours longer output, 0 is no penalty."""
    min_length: int = 0
    """Pieces before EOS is allowed; a smaller length limit overrides it."""
    max_length_a: float = 2.0
    """The length limit is floor(max_length_a * source pieces + max_length_b) pieces."""
    max_length_b: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.beam_size <= MAX_BEAM_SIZE:
            raise ConfigError(
                f"beam_size: {self.beam_size} is out of range. Use 1 (greedy) to {MAX_BEAM_SIZE}."
            )
        if not 1 <= self.n_best <= self.beam_size:
            raise ConfigError(
                f"n_best: {self.n_best} is not in 1 to beam_size {self.beam_size}. "
                f"Lower n_best or raise beam_size."
            )
        if self.length_penalty not in ("gnmt", "power", "none"):
            raise ConfigError(
                f"length_penalty: {self.length_penalty!r} is not known. Use gnmt, power or none."
            )
        if not 0 <= self.alpha <= MAX_ALPHA:
            raise ConfigError(f"alpha: {self.alpha} is out of range. Use 0 to {MAX_ALPHA:g}.")
        bounds = {
            "min_length": MAX_LENGTH_B,
            "max_length_a": MAX_LENGTH_A,
            "max_length_b": MAX_LENGTH_B,
        }
        for name, most in bounds.items():
            if not 0 <= getattr(self, name) <= most:
                raise ConfigError(
                    f"{name}: {getattr(self, name)} is out of range. Use 0 to {most}."
                )


def length_limit(options: SearchOptions, source_length: int) -> int:
    """The most pieces that a source of `source_length` pieces may give, EOS counted in neither."""
    return math.floor(options.max_length_a * source_length + options.max_length_b)
