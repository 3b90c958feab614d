"""Self-test: whether a sentence's result is the same in company as alone, on this machine.

The fixed shapes of the engine were measured on common CPUs; another CPU or build of torch may sum
in another order even so. Then results differ in their last bits, and rarely in a piece.
"""

import torch

from model.decoding.engine import Engine, Finished, Request
from model.decoding.search import SearchOptions
from model.network.seq2seq import Seq2Seq


def rows_are_independent(network: Seq2Seq, dtype: torch.dtype) -> bool:
    """Search a short sentence alone and beside longer ones: whether both give equal bits."""
    options = SearchOptions(beam_size=3, min_length=3, max_length_a=0, max_length_b=3)
    last = network.config.vocab_size - 1
    sources = [tuple(min(4 + i, last) for i in range(length)) for length in (2, 17, 5, 33)]
    requests = [Request(src=src, options=options) for src in sources]
    alone = _search(network, dtype, requests[:1])
    return alone == _search(network, dtype, requests)


def _search(
    network: Seq2Seq, dtype: torch.dtype, requests: list[Request]
) -> list[tuple[tuple[int, ...], float]]:
    """Pieces and log-probability of what the first request gives."""
    engine = Engine(network, dtype=dtype, max_rows=12, max_source=33)
    first, *_ = [engine.add(request) for request in requests]
    while engine.busy:
        for event in engine.step():
            if isinstance(event, Finished) and event.id == first:
                return [(found.pieces, found.log_prob) for found in event.hypotheses]
    raise AssertionError("an engine finishes what it is given")
