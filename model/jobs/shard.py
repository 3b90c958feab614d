"""A shard: which parts of a job one process does when several share it."""

import re
from dataclasses import dataclass

from model.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`-th of `count`, from 1. Parts are dealt out in turn, so that all get as much."""

    index: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def owns(self, part: int) -> bool:
        """Whether part `part`, from 0, is its own."""
        return part % self.count == self.index - 1

    def has_work(self, parts: int) -> bool:
        """Whether there is anything for it in a job of `parts` parts.

        The first one always has: of an empty input it writes the empty output.
        """
        return self.index == 1 or self.index <= parts


def parse_shard(text: str) -> Shard:
    """The shard called `i/N`.

    Raises:
        ConfigError: that is not one.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ConfigError(f"--shard: {text!r} is not i/N with i from 1 to N. Give one like 2/8.")
    return Shard(int(found[1]), int(found[2]))
