"""Invented names: a corpus of pairs around them, and others for the test that it does not have.

Each name is one piece of the vocabulary, and those of the test occur in no training pair: an output
layer has never seen them as a target.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from training.data.learn_tokenizer import learn_tokenizer

Pair = tuple[str, str]

NAMES = 400
"""Names of the training pairs, and as many of the test."""


def write_corpus(
    folder: Path,
    make_pair: Callable[[random.Random, Sequence[str]], Pair],
    texts: Sequence[str],
    *,
    pairs: int,
    dev: int,
    tests: int,
) -> list[Pair]:
    """Write train.tsv, dev.tsv and names.model; return pairs of names that are in neither file.

    Args:
        make_pair: makes a pair with some of the names it is given.
        texts: what else the tokenizer has to know.
        pairs, dev, tests: how many there are of each.
    """
    chance = random.Random(1)
    names = sorted({make_name(chance) for _ in range(3 * NAMES)})
    chance.shuffle(names)
    known, new = names[:NAMES], names[NAMES : 2 * NAMES]
    model = learn_tokenizer(texts, kind="bpe", vocab_size="auto", tags=[*known, *new])
    (folder / "names.model").write_bytes(model)
    for name, count in (("train.tsv", pairs), ("dev.tsv", dev)):
        rows = [make_pair(chance, known) for _ in range(count)]
        (folder / name).write_text("".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8")
    return [make_pair(chance, new) for _ in range(tests)]


def make_name(chance: random.Random) -> str:
    """Invent a name of three or four syllables."""
    syllables = [
        chance.choice("bdfgklmnprstvwz") + chance.choice("aeiouy")
        for _ in range(chance.randint(3, 4))
    ]
    return "".join(syllables).capitalize()
