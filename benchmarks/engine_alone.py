"""The engine without a server, fed as clients in closed loops would: requests/s on request.

    python -m benchmarks.engine_alone RUN PRECISION BEAM CLIENTS TEXTS

TEXTS has a sentence a line. There are always CLIENTS sentences in the engine or waiting for a slot;
when one is over the next one joins. Pieces in, pieces out: tokenising is the service's overhead.
Each line on standard input is a number of seconds; the answer is the sentences/s in that time.
"""

import dataclasses
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.engine import Engine, room_for
from model.decoding.precision.dtypes import BY_NAME, PRECISIONS
from model.decoding.request import Finished, Request
from model.translator import SHORTEST_LIMIT

WARM_S = 1.0


def main() -> int:
    """Answer until standard input ends."""
    run, precision, beam_size, clients, texts = sys.argv[1:6]
    assert precision in PRECISIONS
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(Path(run))
    options = dataclasses.replace(checkpoint.search, beam_size=int(beam_size))
    limit = max(checkpoint.config.max_length, SHORTEST_LIMIT)
    engine = Engine(  # as the service makes it
        checkpoint.network,
        device=torch.device("cpu"),
        dtype=BY_NAME[precision],
        max_source=limit,
        max_length=room_for(options, limit),
    )
    lines = Path(texts).read_text(encoding="utf-8").splitlines()
    sources = [tuple(checkpoint.tokenizer.encode(line)) for line in lines]
    requests = itertools.cycle([Request(src=src, options=options) for src in sources])
    for _ in range(int(clients)):
        engine.add(next(requests))
    print("ready", flush=True)
    for line in sys.stdin:
        _finished(engine, requests, WARM_S)
        seconds = float(line)
        print(_finished(engine, requests, seconds) / seconds, flush=True)
    return 0


def _finished(engine: Engine, requests: Iterator[Request], seconds: float) -> int:
    """Step for so long; how many sentences that finished."""
    end = time.perf_counter() + seconds
    count = 0
    while time.perf_counter() < end:
        for event in engine.step():
            if isinstance(event, Finished):
                engine.add(next(requests))
                count += 1
    return count


if __name__ == "__main__":
    sys.exit(main())
