"""Threads: one Translator that is given one text a call, by one thread and by several.

    OMP_NUM_THREADS=1 python -m benchmarks.threads runs/demo --input test.de

Compared with a lock around each call, which is what an application needs where a translator is not
for several threads, and with a single call that has all the texts. On a machine with other work,
the rates per second of CPU time tell more.
"""

import argparse
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

from model.io.lines import read_lines
from model.translator import Translator


def in_threads(translate: Callable[[str], str], texts: Sequence[str], *, threads: int) -> list[str]:
    """The translations by so many threads."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(translate, texts))


def report(name: str, unit: str, rates: Mapping[str, Sequence[float]]) -> None:
    """Print the rate of one way."""
    rate, one = statistics.median(rates[name]), statistics.median(rates["one thread"])
    print(f"{name:20} {rate:8.1f} texts per {unit}, {rate / one:.2f} x")


def main() -> int:
    """Measure all ways in alternating rounds; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--threads", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    translator = Translator.load(arguments.run)
    texts = list(islice(read_lines(arguments.input), arguments.texts))
    lock = threading.Lock()

    def locked(text: str) -> str:
        with lock:
            return translator.translate(text)

    ways: dict[str, Callable[[], list[str]]] = {
        "one thread": partial(in_threads, translator.translate, texts, threads=1),
        "one call": lambda: translator.translate(texts),
    }
    for count in arguments.threads:
        ways[f"{count} threads"] = partial(in_threads, translator.translate, texts, threads=count)
        ways[f"{count} threads, a lock"] = partial(in_threads, locked, texts, threads=count)
    expected = translator.translate(texts)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    cpu_rates: dict[str, list[float]] = {name: [] for name in ways}
    for name, way in list(ways.items()) * arguments.rounds:
        start, cpu_start = time.perf_counter(), time.process_time()
        found = way()
        rates[name].append(len(texts) / (time.perf_counter() - start))
        cpu_rates[name].append(len(texts) / (time.process_time() - cpu_start))
        assert found == expected, f"{name}: other translations than those of one call"
    print(f"medians of {arguments.rounds} rounds, and compared with one thread")
    for name in ways:
        report(name, "second", rates)
        report(name, "second of CPU time", cpu_rates)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
