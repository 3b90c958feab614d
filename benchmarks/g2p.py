"""Sounds of words: error rates and words per second of a model, beside g2p-en's network.

    DRAGOMAN_DATA=... OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.g2p RUN [--python PYTHON]

The words are those of cmudict/test.graph.gz in $DRAGOMAN_DATA, and everything is right that
test.allprons.tsv.gz accepts. PYTHON is the interpreter of an environment with g2p-en, such as

    python3 -m venv peer && peer/bin/pip install g2p-en 'setuptools<80'

g2p-en was trained on all of CMUdict, the test words included. Speeds are those of greedy search on
one core, in rounds that take turns; each figure is the median, and the ratio that of one round.
"""

import argparse
import gzip
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from model.text.alphabet import Cut
from model.text.symbols import Symbols
from model.transducer import Transducer
from training.validation.accepted_sequences import (
    Comparison,
    accepted_sequences,
    compiled_pattern,
    read_alternatives,
)
from training.validation.symbol_scores import symbol_scores

PEER = Path(__file__).with_name("peer_g2p_en.py")
STRESS = "[0-9]"
ROUNDS = 5
FEW = 400
"""Words of a round that g2p-en transduces; it does one at a time, so more change nothing."""


def main() -> int:
    """Print the error rates, then the speeds."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("run", type=Path)
    parser.add_argument("--python", type=Path, default=None)
    arguments = parser.parse_args()
    folder = Path(os.environ["DRAGOMAN_DATA"], "cmudict")
    with gzip.open(folder / "test.graph.gz", "rt", encoding="utf-8") as file:
        words = ["".join(line.split()) for line in file]
    alternatives = read_alternatives(folder / "test.allprons.tsv.gz")
    systems, speeds = {}, {}
    for precision in ("fp32", "int8"):
        transducer = Transducer.load(arguments.run, device="cpu", precision=precision, threads=1)
        for beam in (1, 5):
            options = replace(transducer.options, beam_size=beam)
            found = transducer.transduce(words, options)
            systems[f"{precision}, beam {beam}"] = [each.text for each in found]
            if beam == 1:
                speeds[precision] = transducer, options
    symbols = transducer.vocabulary
    assert isinstance(symbols, Symbols), "the model that the command is for"
    cut = symbols.target.cut
    if arguments.python is None:
        report(systems, words, alternatives, cut)
        return 0
    with peer(arguments.python, words) as process:
        systems["g2p-en"] = [read(process) for _ in words]
        report(systems, words, alternatives, cut)
        rounds: dict[str, list[float]] = {name: [] for name in (*speeds, "one by one", "g2p-en")}
        for _ in range(ROUNDS):
            for name, (transducer, options) in speeds.items():
                started = time.perf_counter()
                transducer.transduce(words, options)
                rounds[name].append(len(words) / (time.perf_counter() - started))
            transducer, options = speeds["int8"]
            started = time.perf_counter()
            for word in words[:FEW]:
                transducer.transduce([word], options)
            rounds["one by one"].append(FEW / (time.perf_counter() - started))
            assert process.stdin
            process.stdin.write(f"{FEW}\n")
            process.stdin.flush()
            rounds["g2p-en"].append(FEW / float(read(process)))
    for name, each in rounds.items():
        ratios = [ours / theirs for ours, theirs in zip(each, rounds["g2p-en"], strict=True)]
        print(
            f"{name:12} {statistics.median(each):9,.0f} words/s "
            f"({min(each):,.0f}-{max(each):,.0f}), {statistics.median(ratios):6.1f} x g2p-en"
        )
    return 0


def report(
    systems: dict[str, list[str]], words: list[str], alternatives: dict[str, list[str]], cut: Cut
) -> None:
    """Print a row of error rates for each system, without stress and with it."""
    for title, pattern in (("without stress", STRESS), ("with stress", None)):
        comparison = Comparison(cut=cut, ignored=compiled_pattern(pattern))
        accepted = accepted_sequences([], alternatives, words, comparison)
        print(f"{title:18} {'PER':>14} {'WER':>14}")
        for name, outputs in systems.items():
            scores = symbol_scores(
                list(map(comparison.symbols, outputs)), accepted, bootstrap=1000
            ).values()
            figures = (
                f"{score.value:6.2f} ± {score.interval.half_width:4.2f}"
                for score in scores
                if score.interval
            )
            print(f"{name:18}", *(f"{figure:>14}" for figure in figures))


@contextmanager
def peer(python: Path, words: list[str]) -> "Iterator[subprocess.Popen[str]]":
    """A process of g2p-en, which has said that it is ready."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        file.writelines(f"{word}\n" for word in words)
        file.flush()
        with subprocess.Popen(
            [python, PEER, file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            while read(process) != "ready":
                pass
            yield process
            assert process.stdin
            process.stdin.close()


def read(process: "subprocess.Popen[str]") -> str:
    """The next line that the process has written."""
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("g2p-en has ended")
    return line.rstrip("\n")


if __name__ == "__main__":
    sys.exit(main())
