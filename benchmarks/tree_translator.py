"""Sentences/s of the Python API of whichever tree is on PYTHONPATH; one line of JSON.

    python -P benchmarks/tree_translator.py RUN PRECISION THREADS SECONDS TEXTS

Each of the two measurements takes so many seconds. TEXTS has a sentence a line. Nothing else is
used than `Translator.load` and `translate`, so that this runs with the code of many commits.
"""

import json
import sys
import time
from itertools import cycle
from pathlib import Path
from typing import Any

from model.translator import Translator

WARM_UP = 8
"""Sentences that compile the kernels and fill the caches."""


def main() -> None:
    """Measure both ways once."""
    run, precision, threads, seconds, name = sys.argv[1:]
    texts = Path(name).read_text(encoding="utf-8").splitlines()
    chosen: Any = precision
    translator = Translator.load(run, device="cpu", precision=chosen, threads=int(threads))
    warm_up = texts[:WARM_UP]
    for some in (warm_up, *([text] for text in warm_up)):
        translator.translate(some)
    rates = {
        "many": rate(translator, [texts], float(seconds)),
        "one": rate(translator, [[text] for text in texts], float(seconds)),
    }
    print(json.dumps(rates))


def rate(translator: Translator, calls: list[list[str]], seconds: float) -> float:
    """Sentences/s of as many calls, in turn, as begin within so many seconds."""
    count, begun = 0, time.perf_counter()
    for texts in cycle(calls):
        translator.translate(texts)
        count += len(texts)
        taken = time.perf_counter() - begun
        if taken >= seconds:
            break
    return count / taken


if __name__ == "__main__":
    main()
