"""Self-test: whether a sentence gives the same result among others as alone, on this machine.

The fixed shapes of the engine were determined on common CPUs; another CPU or build of torch may
still sum in another order. Then results differ in their last bits, and rarely in a piece.
"""

import torch

from model.decoding.beam_search import Hypothesis
from model.decoding.engine import Engine, Finished, Request
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import Runnable, runnable

BEAM = 3
SHORT, LONG = 2, 40  # source pieces; only products of long sources are split among threads
LAST_STEP = 3
COMPANY = (0, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3)
"""The step in which each sentence ends. Those of the last one are copies of one sentence, in many
places among others that are longer or shorter than it. The network fills its rows up to a multiple
of 16: as sentences leave it runs 64 of them, then 48, 32 and 16."""


def rows_are_independent(network: Runnable, dtype: torch.dtype) -> bool:
    """Search a sentence alone and among others, and tell whether all results have equal bits."""
    ready = runnable(network, dtype)
    for lengths in ((SHORT, LONG), (LONG, SHORT)):
        (alone,) = _search(ready, (LAST_STEP,), *lengths)
        if not all(_are_equal(found, alone) for found in _search(ready, COMPANY, *lengths)):
            return False
    return True


def _search(
    network: Runnable, ends: tuple[int, ...], own: int, others: int
) -> list[tuple[Hypothesis, ...]]:
    """The results of all copies of a sentence of `own` pieces among those of `others` pieces."""
    engine = Engine(network, max_rows=len(ends) * BEAM, max_source=LONG)
    ids = [engine.add(_request(network, end, own if end == LAST_STEP else others)) for end in ends]
    copies = {id for id, end in zip(ids, ends, strict=True) if end == LAST_STEP}
    found: list[tuple[Hypothesis, ...]] = []
    while engine.busy:
        for event in engine.step():
            if isinstance(event, Finished) and event.id in copies:
                found.append(event.hypotheses)
    return found


def _request(network: Runnable, end: int, length: int) -> Request:
    """A sentence of `length` pieces, or vectors, whose outputs all have `end` of them."""
    last, width = network.config.vocab_size - 1, network.config.source_width
    beam = BEAM
    if network.config.target_width:  # it has one hypothesis, of at least a vector
        beam, end = 1, end + 1
    return Request(
        src=tuple(min(4 + i, last) for i in range(length)),
        options=SearchOptions(
            beam_size=beam, n_best=beam, min_length=end, max_length_a=0, max_length_b=end
        ),
        frames=torch.linspace(-1, 1, length * width).reshape(length, width) if width else None,
    )


def _are_equal(some: tuple[Hypothesis, ...], others: tuple[Hypothesis, ...]) -> bool:
    """Whether pieces, log-probabilities, attention weights and vectors are all equal."""
    pairs = list(zip(some, others, strict=True))
    return (
        some == others
        and all(one.weights.equal(other.weights) for one, other in pairs)
        and all(
            one.vectors is None or other.vectors is None or one.vectors.equal(other.vectors)
            for one, other in pairs
        )
    )
