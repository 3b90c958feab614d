"""Sentences/s on two cores against one: shards in processes, each pinned to a core, of one thread.

    DRAGOMAN_DATA=... python -m benchmarks.two_cores RUN

As `dragoman-translate --shard i/2` on two cores does. One process stays loaded for each core; in a
round the first translates all sentences alone, then each translates half of them.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.cli.timing import full_speed
from model.decoding.engine import Engine, Request
from model.decoding.options import SearchOptions
from model.decoding.precision.dtypes import BY_NAME, PRECISIONS, Precision
from model.io.lines import read_lines

TEST = "multi30k/test_2016_flickr.en.gz"
CORES = 2


def main() -> int:
    """Print the medians and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--precision", choices=PRECISIONS, default="int8")
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    if len(cores) < CORES:
        sys.exit("this benchmark needs two cores")
    context = multiprocessing.get_context("spawn")
    pipes = []
    for core in cores:
        ours, theirs = context.Pipe()
        process = context.Process(
            target=work,
            args=(core, arguments.run, arguments.precision, arguments.beam_size, theirs),
            daemon=True,
        )
        process.start()
        pipes.append(ours)
    taken: dict[str, list[float]] = {"one core": [], "two cores": []}
    for _ in range(arguments.rounds + 1):
        taken["one core"].append(seconds(pipes[:1]))
        taken["two cores"].append(seconds(pipes))
    # The first round is the warm-up.
    medians = {name: statistics.median(values[1:]) for name, values in taken.items()}
    for name, median in medians.items():
        print(f"{name}: {median:.2f} s")
    print(f"two cores / one: {medians['one core'] / medians['two cores']:.2f}")
    return 0


def seconds(pipes: list[Connection]) -> float:
    """What all sentences take, dealt out to the processes."""
    started = time.perf_counter()
    for number, pipe in enumerate(pipes):
        pipe.send((number, len(pipes)))
    for pipe in pipes:
        pipe.recv()
    return time.perf_counter() - started


def work(core: int, run: Path, precision: Precision, beam: int, pipe: Connection) -> None:
    """Translate the sentences that the pipe asks for, until it is closed."""
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(run)
    lines = read_lines(Path(os.environ["DRAGOMAN_DATA"], TEST))
    sources = sorted((tuple(checkpoint.tokenizer.encode(line)) for line in lines), key=len)
    engine = Engine(checkpoint.network, dtype=BY_NAME[precision])
    options = SearchOptions(beam_size=beam)
    requests = [Request(src=src, options=options) for src in sources]
    while True:
        try:
            number, count = pipe.recv()
        except EOFError:  # the benchmark is over
            return
        full_speed(engine, requests[number::count])
        pipe.send(None)


if __name__ == "__main__":
    sys.exit(main())
