"""Self-test: whether a sentence's result is the same in company as alone, on this machine.

The fixed shapes of the engine were measured on common CPUs; another CPU or build of torch may sum
in another order even so. Then results differ in their last bits, and rarely in a piece.
"""

import torch

from model.decoding.engine import Engine, Finished, Request
from model.decoding.precision import cast
from model.decoding.search import Hypothesis, SearchOptions
from model.network.seq2seq import Seq2Seq

OPTIONS = SearchOptions(beam_size=3, min_length=3, max_length_a=0, max_length_b=3)
GROUPS = (1, 5, 6, 10)
"""Sentences that join before each step. The network fills its rows up to a multiple of 16: so it
runs 16, then 32, 48 and 80 of them."""
SHORT, LONG = 2, 17  # source pieces, of two padded lengths


def rows_are_independent(network: Seq2Seq, dtype: torch.dtype) -> bool:
    """Search a short sentence alone, and often beside longer ones: whether all give equal bits."""
    network = cast(network, dtype)
    (alone,) = _search_short(network, (1,))
    return all(found == alone for found in _search_short(network, GROUPS))


def _search_short(network: Seq2Seq, groups: tuple[int, ...]) -> list[tuple[Hypothesis, ...]]:
    """What the short sentence gives at the head of each group, the others of which are longer."""
    last = network.config.vocab_size - 1
    short, long = (
        Request(src=tuple(min(4 + i, last) for i in range(length)), options=OPTIONS)
        for length in (SHORT, LONG)
    )
    engine = Engine(network, max_rows=sum(groups) * OPTIONS.beam_size, max_source=LONG)
    ids: list[int] = []
    found: dict[int, tuple[Hypothesis, ...]] = {}
    for size in groups:
        ids.append(engine.add(short))
        for _ in range(size - 1):
            engine.add(long)
        found.update(_step(engine))
    while engine.busy:
        found.update(_step(engine))
    return [found[id] for id in ids]


def _step(engine: Engine) -> dict[int, tuple[Hypothesis, ...]]:
    return {event.id: event.hypotheses for event in engine.step() if isinstance(event, Finished)}
