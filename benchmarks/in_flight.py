"""Joining in flight against static batches: sentences/s of one engine, both ways, alternating.

    DRAGOMAN_DATA=... taskset -c 0 python -m benchmarks.in_flight RUN

RUN translates from English. 900 sentences of the Tatoeba test file and 100 texts of five Multi30k
sentences each, in random order. In flight: all wait, and join in their order as slots become free.
Static: all are sorted by length (more than a server with arrivals could), as many as there are
slots go in together, and the next go in when all of them are over.
"""

import argparse
import os
import random
import statistics
import sys
import time
from pathlib import Path

import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.engine import Engine, Finished, Request
from model.decoding.options import SearchOptions
from model.decoding.precision.dtypes import BY_NAME, PRECISIONS
from model.io.lines import read_lines

SHORT, LONG, JOINED = 900, 100, 5
Sources = list[tuple[int, ...]]


def main() -> int:
    """Print the medians and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--precision", choices=PRECISIONS, default="int8")
    parser.add_argument("--rows", type=int, default=160)
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(arguments.run)
    sources = [tuple(checkpoint.tokenizer.encode(text)) for text in texts()]
    longest = max(map(len, sources))
    engine = Engine(
        checkpoint.network,
        dtype=BY_NAME[arguments.precision],
        max_rows=arguments.rows,
        max_source=longest,
        max_length=2 * longest + 10,
    )
    options = SearchOptions(beam_size=arguments.beam_size)
    slots = arguments.rows // arguments.beam_size
    by_length = sorted(sources, key=len)
    static = [by_length[i : i + slots] for i in range(0, len(by_length), slots)]
    seconds: dict[str, list[float]] = {"in flight": [], "static": []}
    for _ in range(arguments.rounds):
        seconds["in flight"].append(taken(engine, [sources], options))
        seconds["static"].append(taken(engine, static, options))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name}: {len(sources) / median:.1f} sentences/s")
    print(f"in flight / static: {medians['static'] / medians['in flight']:.2f}")
    return 0


def texts() -> list[str]:
    """The sentences, short and long, in random order."""
    data = Path(os.environ["DRAGOMAN_DATA"])
    short = list(read_lines(data / "tatoeba-de-en/test.en.gz"))
    captions = list(read_lines(data / "multi30k/test_2016_flickr.en.gz"))
    long = [" ".join(captions[i : i + JOINED]) for i in range(0, LONG * JOINED, JOINED)]
    mixed = short[:SHORT] + long
    random.Random(1).shuffle(mixed)
    return mixed


def taken(engine: Engine, groups: list[Sources], options: SearchOptions) -> float:
    """Seconds for the groups, each of which goes in when the one before is over."""
    started = time.perf_counter()
    for group in groups:
        for src in group:
            engine.add(Request(src=src, options=options))
        finished = 0
        while engine.busy:
            finished += sum(isinstance(event, Finished) for event in engine.step())
        assert finished == len(group)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
