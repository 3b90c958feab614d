"""A noisy copy of a text, as `data.noise` would disturb each line of it.

python -m benchmarks.noised FILE LANGUAGE > OUT
"""

import sys
from pathlib import Path

import numpy as np

from model.io.lines import read_lines
from model.text.languages import language_tag
from training.data.counter_rng import splitmix64
from training.data.noise import disturb


def main(path: str, language: str) -> None:
    """Print the lines of the file at `path`, each disturbed by a number of its own."""
    tag = language_tag(language)
    lines = list(read_lines(Path(path)))
    keys = splitmix64(np.arange(len(lines), dtype=np.uint64)).tolist()
    for line, key in zip(lines, keys, strict=True):
        print(disturb(line, tag, key))


if __name__ == "__main__":
    main(*sys.argv[1:])
