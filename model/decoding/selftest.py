"""Self-test: whether a sentence's result is the same in company as alone, on this machine.

The fixed shapes of the engine were measured on common CPUs; another CPU or build of torch may sum
in another order even so. Then results differ in their last bits, and rarely in a piece.
"""

import torch

from model.decoding.engine import Engine, Finished, Request
from model.decoding.options import SearchOptions
from model.decoding.packed import PackedNetwork
from model.decoding.precision import runnable
from model.decoding.search import Hypothesis
from model.network.seq2seq import Seq2Seq

BEAM = 3
SHORT, LONG = 2, 17  # source pieces, of two padded lengths
LAST_STEP = 3
COMPANY = (0, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3)
"""The step in which each sentence ends. Those of the last one are copies of the short sentence, in
many places among longer ones. The network fills its rows up to a multiple of 16: as sentences leave
it runs 64 of them, then 48, 32 and 16."""


def rows_are_independent(network: Seq2Seq | PackedNetwork, dtype: torch.dtype) -> bool:
    """Search a short sentence alone, and again in company: whether all give equal bits."""
    ready = runnable(network, dtype)
    (alone,) = _search(ready, (LAST_STEP,))
    return all(_are_equal(found, alone) for found in _search(ready, COMPANY))


def _search(
    network: Seq2Seq | PackedNetwork, ends: tuple[int, ...]
) -> list[tuple[Hypothesis, ...]]:
    """What each copy of the short sentence gives."""
    engine = Engine(network, max_rows=len(ends) * BEAM, max_source=LONG)
    ids = [engine.add(_request(network, end)) for end in ends]
    copies = {id for id, end in zip(ids, ends, strict=True) if end == LAST_STEP}
    found: list[tuple[Hypothesis, ...]] = []
    while engine.busy:
        for event in engine.step():
            if isinstance(event, Finished) and event.id in copies:
                found.append(event.hypotheses)
    return found


def _request(network: Seq2Seq | PackedNetwork, end: int) -> Request:
    """A sentence whose hypotheses all have `end` pieces."""
    last = network.config.vocab_size - 1
    length = SHORT if end == LAST_STEP else LONG
    return Request(
        src=tuple(min(4 + i, last) for i in range(length)),
        options=SearchOptions(
            beam_size=BEAM, n_best=BEAM, min_length=end, max_length_a=0, max_length_b=end
        ),
    )


def _are_equal(some: tuple[Hypothesis, ...], others: tuple[Hypothesis, ...]) -> bool:
    """Whether pieces, log-probabilities and attention weights are. The more numbers, the better."""
    pairs = zip(some, others, strict=True)
    return some == others and all(one.weights.equal(other.weights) for one, other in pairs)
