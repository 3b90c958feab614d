"""Splits: pairs into train, dev and test, so that no sentence of one occurs in another.

Sentences are the same if their letters and digits are, whatever the case. Pairs that share a
sentence on either side, directly or by way of others, form a group, and a group stays together.
Everything is in the order of SHA-256 digests: the same pairs give the same splits, and the first
lines of a file are a fair sample of it.
"""

import hashlib
from collections.abc import Iterable

from model.text.letters import letters_and_digits
from training.corpora.catalogue import SPLITS

Pair = tuple[str, str]

LARGEST_HELD_OUT = 20
"""A larger group (of "Yes." or "I know." with all translations) always goes to training."""


def split_pairs(pairs: Iterable[Pair], held_out: int) -> dict[str, list[Pair]]:
    """Split `pairs` into `SPLITS`, with at least `held_out` pairs each for dev and test.

    Repeated pairs count once, and pairs of which a side has no letter and no digit are left out.
    Where there are too few groups of at most `LARGEST_HELD_OUT` pairs, training gets what is left.
    """
    groups = _groups(sorted({pair for pair in pairs if all(map(letters_and_digits, pair))}))
    splits: dict[str, list[Pair]] = {name: [] for name in SPLITS}
    for first in sorted(groups, key=_digest):
        group = groups[first]
        small = len(group) <= LARGEST_HELD_OUT
        wanting = [name for name in ("test", "dev") if len(splits[name]) < held_out]
        splits[wanting[0] if small and wanting else "train"] += group
    return {name: sorted(found, key=_pair_digest) for name, found in splits.items()}


def _groups(pairs: list[Pair]) -> dict[str, list[Pair]]:
    """Group pairs that share a sentence (union-find), by the least of the group's sentences."""
    parent: dict[str, str] = {}

    def find(sentence: str) -> str:
        while (above := parent.setdefault(sentence, sentence)) != sentence:
            parent[sentence] = sentence = parent[above]
        return sentence

    for source, target in pairs:
        ends = (
            find(f"source {letters_and_digits(source)}"),
            find(f"target {letters_and_digits(target)}"),
        )
        parent[max(ends)] = min(ends)
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(find(f"source {letters_and_digits(pair[0])}"), []).append(pair)
    return groups


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _pair_digest(pair: Pair) -> str:
    return _digest("\t".join(pair))
