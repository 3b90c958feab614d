"""What copying costs in the search: sentences/s with `model.copy`, and with coverage, over without.

    taskset -c 0 python -m benchmarks.copy_cost [--precision int8] [--rounds 5] [--source 270]

Untrained networks of the size of configs/arxiv_titles.yaml, which all write as many pieces: the
limit ends every output. Rounds alternate; shown are medians of the rounds, and their ratio.

Prediction, for each row of a step: the output layer multiplies V F bytes, and the scan of its
logits reads V numbers twice; copying scans them once more, and takes an exponential and a logarithm
for each distinct piece of the source.
"""

import argparse
import random
import statistics
import sys
import time
from dataclasses import replace
from functools import partial

import torch

from benchmarks.turns import alternate
from model.config import ModelConfig
from model.decoding.engine import Engine
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import Runnable, runnable
from model.decoding.request import Request
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID

PLAIN = ModelConfig(
    vocab_size=8000,
    embedding_size=192,
    encoder_layers=1,
    encoder_size=384,
    decoder_size=384,
    input_feeding=False,
    max_length=500,
)
KINDS = {
    "plain": PLAIN,
    "copy": replace(PLAIN, copy=True),
    "copy, coverage": replace(PLAIN, copy=True, coverage=True),
}
DTYPES = {"int8": torch.int8, "fp32": torch.float32, "bf16": torch.bfloat16}
OUTPUT = 20


def main() -> int:
    """Print a row for each kind of network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--precision", choices=DTYPES, default="int8")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument("--source", type=int, default=270, help="pieces of a source")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    networks = {kind: network_of(config, arguments.precision) for kind, config in KINDS.items()}
    sides = {
        kind: partial(measure, network, arguments.sentences, arguments.source)
        for kind, network in networks.items()
    }
    speeds = alternate(sides, arguments.rounds + 1)
    base = statistics.median(speeds["plain"][1:])
    for kind, (_, *found) in speeds.items():  # the first round warms up
        middle = statistics.median(found)
        print(
            f"{kind:15} {middle:8.1f} sentences/s  {middle / base:5.3f} of plain  "
            f"({min(found):.1f} to {max(found):.1f})"
        )
    return 0


def network_of(config: ModelConfig, precision: str) -> Runnable:
    """Make an untrained network, laid out for the precision."""
    torch.manual_seed(1)
    network = Seq2Seq(config).eval()
    with torch.no_grad():
        network.output.bias[EOS_ID] -= 30.0
    return runnable(network, DTYPES[precision])


def measure(network: Runnable, sentences: int, source: int) -> float:
    """Return the sentences/s of one search for all sentences."""
    chance = random.Random(1)
    options = SearchOptions(beam_size=4, max_length_a=0.0, max_length_b=OUTPUT)
    requests = [
        Request(src=tuple(chance.randrange(4, 8000) for _ in range(source)), options=options)
        for _ in range(sentences)
    ]
    engine = Engine(network, max_source=source)
    started = time.perf_counter()
    for request in requests:
        engine.add(request)
    while engine.busy:
        engine.step()
    return sentences / (time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(main())
