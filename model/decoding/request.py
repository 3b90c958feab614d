"""Request and events: the input and the output of the engine."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from model.decoding.automaton import Automaton
from model.decoding.beam_search import Hypothesis
from model.decoding.options import SearchOptions
from model.decoding.source_names import SourceNames
from model.errors import RequestError
from model.text.tokenizer import EOS_ID, PAD_ID


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One sentence to search.

    The engine handles pieces, not text: `prefix`, `constraints`, `avoid` and `extractive` of the
    options, and the limits of words, reach it in the fields below, see `model.translation.phrases`.
    """

    src: tuple[int, ...]
    """Source pieces without EOS; PAD for each of `frames`."""
    options: SearchOptions
    stream: bool = False
    """Whether to report the stable prefix of the translation as it grows."""
    prefix: tuple[int, ...] = ()
    """Pieces that every hypothesis begins with."""
    constraints: tuple[tuple[int, ...], ...] = ()
    """Sequences of pieces, all of which every hypothesis contains."""
    avoid: Callable[[], Automaton] | None = None
    """Makes the automaton of phrases that no hypothesis contains. It is called when the sentence
    takes its slot, and once for all sentences with the same function: automata are large."""
    min_words: int = 0
    """The fewest words of a hypothesis."""
    max_words: int = 0
    """The most words of a hypothesis; 0 for any number."""
    source_words: tuple[tuple[int, ...], ...] | None = None
    """The words of `src` that a hypothesis consists of if the options are `extractive`, in order;
    None for any words. No piece that begins one of them stands within one."""
    source_signs: tuple[int, ...] = ()
    """For each of `source_words` how many pieces at its end are signs, which may be left out; none
    are if this is empty."""
    source_names: SourceNames | None = None
    """What a hypothesis may take for a name if the options are `extractive: names`; None for
    anything."""
    uncopied: frozenset[int] = frozenset()
    """Pieces that only tell the model something, and that a network which copies never copies."""

    frames: Tensor | None = None
    """(S, W) fp32: the source of a network that reads vectors, normalised."""

    @property
    def source(self) -> tuple[int, ...] | Tensor:
        """What the network reads."""
        return self.src if self.frames is None else self.frames

    def copied(self) -> list[int]:
        """The pieces of `src` and EOS as a network copies them: PAD in place of `uncopied`.

        So the attention to these goes to PAD, which no hypothesis contains, and the probabilities
        of all others are those of the network.
        """
        return [PAD_ID if id in self.uncopied else id for id in (*self.src, EOS_ID)]


@dataclass(frozen=True, slots=True)
class Progress:
    """The stable prefix of a streamed translation has grown: the best hypothesis begins with it."""

    id: int
    stable_prefix: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """A sentence is finished: its hypotheses, best first; `n_best` of them if the beam had as many.

    There are none only if `constraints`, `avoid` and `min_words` cannot all be met, or a shortlist
    lacks what would complete a name of the source.
    """

    id: int
    hypotheses: tuple[Hypothesis, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A request cannot be served. Only `LongEngine` tells that after it has taken the request."""

    id: int
    error: RequestError


Event = Progress | Finished | Refused
