"""What `extractive: names` costs: sentences/s of a summarizer with it, over without.

    taskset -c 0 python -m benchmarks.names_cost RUN SOURCE [--rounds 5] [--no-repeat-ngram 3]

Time is that of the processor, in one thread. Rounds alternate; shown are medians of the rounds,
and their ratios. There are two, because n-grams that may not occur twice are on by default in
summaries, and any such rule keeps the search out of its fastest path, with or without this one.

Prediction, for a step of M sentences and beam K: a few hundred pieces are forbidden in each of M K
rows; and for each new state of a source, which most steps have, its text is looked up in places.
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from benchmarks.turns import alternate
from model.decoding.options import SearchOptions
from model.io.lines import read_lines
from model.translator import Translator


def main() -> int:
    """Print a row for each search."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("source", type=Path, help="a text in each line")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-repeat-ngram", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    texts = list(read_lines(arguments.source))
    translator = Translator.load(arguments.run, device="cpu", precision="int8")
    rules = replace(translator.options, no_repeat_ngram=arguments.no_repeat_ngram, on_long="cut")
    kinds = {
        "without any rule": replace(rules, no_repeat_ngram=0),
        "no_repeat_ngram": rules,
        "and names": replace(rules, extractive="names"),
        "names alone": replace(rules, no_repeat_ngram=0, extractive="names"),
    }
    sides = {kind: partial(measure, translator, texts, search) for kind, search in kinds.items()}
    speeds = alternate(sides, arguments.rounds + 1)
    plain, ruled = (statistics.median(speeds[kind][1:]) for kind in list(kinds)[:2])
    for kind, (_, *found) in speeds.items():  # the first round warms up
        middle = statistics.median(found)
        print(
            f"{kind:17} {middle:8.1f} sentences/s  {middle / plain:5.3f} of the first,  "
            f"{middle / ruled:5.3f} of the second  ({min(found):.1f} to {max(found):.1f})"
        )
    return 0


def measure(translator: Translator, texts: list[str], options: SearchOptions) -> float:
    """Return the sentences for each second of processor time in one search for all texts."""
    started = time.process_time()
    translator.translate(texts, options)
    return len(texts) / (time.process_time() - started)


if __name__ == "__main__":
    sys.exit(main())
