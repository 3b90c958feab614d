"""What goes into the engine and what comes out of it."""

from dataclasses import dataclass

from model.decoding.options import SearchOptions
from model.decoding.search import Hypothesis


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One sentence to search."""

    src: tuple[int, ...]
    """Source pieces without EOS."""
    options: SearchOptions
    stream: bool = False
    """Also report the beginning of the translation, as far as it is certain, while it grows."""


@dataclass(frozen=True, slots=True)
class Progress:
    """More of a streamed translation is certain: its best hypothesis will begin like this."""

    id: int
    stable_prefix: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """A sentence is over: its hypotheses, the best first; `n_best` if the beam held so many."""

    id: int
    hypotheses: tuple[Hypothesis, ...]


Event = Progress | Finished
