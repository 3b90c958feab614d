"""What goes into the engine and what comes out of it."""

from collections.abc import Callable
from dataclasses import dataclass

from model.decoding.automaton import Automaton
from model.decoding.beam_search import Hypothesis
from model.decoding.options import SearchOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One sentence to search.

    The engine knows pieces, not text: `prefix`, `constraints` and `avoid` of the options reach it
    in the fields below, see `model.translation.phrases`.
    """

    src: tuple[int, ...]
    """Source pieces without EOS."""
    options: SearchOptions
    stream: bool = False
    """Also report the beginning of the translation, as far as it is certain, while it grows."""
    prefix: tuple[int, ...] = ()
    """Pieces that every hypothesis begins with."""
    constraints: tuple[tuple[int, ...], ...] = ()
    """Pieces in a row, each of which every hypothesis contains."""
    avoid: Callable[[], Automaton] | None = None
    """What makes the automaton of what no hypothesis contains. It is called when the sentence takes
    its slot, once for all sentences that have the same one: automata are large."""


@dataclass(frozen=True, slots=True)
class Progress:
    """More of a streamed translation is certain: its best hypothesis will begin like this."""

    id: int
    stable_prefix: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """A sentence is over: its hypotheses, the best first; `n_best` if the beam held so many.

    None only where `constraints` and `avoid` leave no way to meet both.
    """

    id: int
    hypotheses: tuple[Hypothesis, ...]


Event = Progress | Finished
