"""Splits: nothing of one split occurs in another, and nothing is lost."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpora.splits import LARGEST_HELD_OUT, Pair, split_pairs


def plain(text: str) -> str:
    """An independent comparison: letters and digits, one by one."""
    return "".join(
        c
        for c in unicodedata.normalize("NFKC", text).casefold()
        if unicodedata.category(c)[0] in "LN"
    )


words = st.sampled_from(
    ["Ja", "ja!", "Nein.", "nein", "Gut", "gut?", "Haus 1", "haus, 1", "2", "..."]
)


@given(st.lists(st.tuples(words, words), max_size=30), st.integers(0, 5))
def test_no_sentence_is_in_two_splits_and_none_is_lost(pairs: list[Pair], held_out: int) -> None:
    splits = split_pairs(pairs, held_out)
    for side in (0, 1):
        seen = [{plain(pair[side]) for pair in splits[name]} for name in splits]
        assert sum(map(len, seen)) == len(set().union(*seen))
    kept = [pair for found in splits.values() for pair in found]
    assert sorted(kept) == sorted({p for p in pairs if plain(p[0]) and plain(p[1])})


def test_the_sizes_and_the_order_do_not_depend_on_the_order_of_the_input() -> None:
    pairs = [(f"Satz {n}", f"sentence {n}") for n in range(1000)]
    splits = split_pairs(pairs, 100)
    assert {name: len(found) for name, found in splits.items()} == {
        "train": 800,
        "dev": 100,
        "test": 100,
    }
    assert split_pairs(reversed(pairs), 100) == splits
    numbers = [int(source.split()[1]) for source, _ in splits["train"]]
    assert numbers != sorted(numbers)
    assert 400 < sum(numbers[:200]) / 200 < 600  # the first lines are a fair sample


@pytest.mark.parametrize(("size", "where"), [(LARGEST_HELD_OUT, "test"), (21, "train")])
def test_a_large_group_stays_in_training(size: int, where: str) -> None:
    splits = split_pairs([("Ja.", f"yes {n}") for n in range(size)], 1)
    assert len(splits[where]) == size
