"""A record: one line, or value, of a corpus, between the format and the search."""

from collections.abc import Callable
from dataclasses import dataclass

from model.decoding.options import SearchOptions
from model.translation import Translation


@dataclass(frozen=True, slots=True)
class Record:
    """What to translate, how, and what becomes of it."""

    text: str
    options: SearchOptions
    line: Callable[[Translation], str]
    """The line of output, without its LF, for a translation of `text`."""
