"""IBM model 1: equal to its definition in plain dictionaries, and better with every iteration."""

import math
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest

from training.data.batching import Ids
from training.lexical import ibm_model1
from training.lexical.ibm_model1 import NULL_ID, TranslationTable, learn_table, num_links

VOCAB_SIZE = 30


def random_corpus(pairs: int, seed: int) -> tuple[list[Ids], list[Ids]]:
    """Sentences of 0 to 7 pieces, with repetitions inside of them."""
    rng = np.random.default_rng(seed)

    def side() -> list[Ids]:
        sizes = rng.integers(0, 8, pairs)
        return [rng.integers(4, VOCAB_SIZE, size).astype(np.int32) for size in sizes]

    return side(), side()


def naive(
    sources: list[Ids], targets: list[Ids], iterations: int
) -> tuple[dict[tuple[int, int], float], list[float]]:
    """Model 1 word for word: t(f | e) and the mean log-likelihood before each iteration."""
    t: dict[tuple[int, int], float] = defaultdict(lambda: 1 / VOCAB_SIZE)
    log_likelihood = []
    for _ in range(iterations):
        count: dict[tuple[int, int], float] = defaultdict(float)
        total: dict[int, float] = defaultdict(float)
        logs = []
        for e, f in zip(sources, targets, strict=True):
            words = [NULL_ID, *e.tolist()]
            for f_j in f.tolist():
                z = sum(t[word, f_j] for word in words)
                logs.append(math.log(z / len(words)))
                for word in words:
                    count[word, f_j] += t[word, f_j] / z
                    total[word] += t[word, f_j] / z
        t = defaultdict(float, {pair: count[pair] / total[pair[0]] for pair in count})
        log_likelihood.append(sum(logs) / len(logs))
    return t, log_likelihood


def as_dictionary(table: TranslationTable) -> dict[tuple[int, int], float]:
    keys = zip(table.source.tolist(), table.target.tolist(), strict=True)
    return dict(zip(keys, table.probability.tolist(), strict=True))


@pytest.mark.parametrize("chunk_links", [1, 100, 1_000_000])
def test_equals_the_definition_however_the_sentences_are_cut(
    chunk_links: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ibm_model1, "CHUNK_LINKS", chunk_links)
    sources, targets = random_corpus(60, seed=1)

    table = learn_table(sources, targets, vocab_size=VOCAB_SIZE, iterations=4)

    expected, log_likelihood = naive(sources, targets, iterations=4)
    assert as_dictionary(table) == pytest.approx(expected, rel=1e-9)
    assert table.log_likelihood == pytest.approx(log_likelihood, rel=1e-9)
    order = list(zip(table.source.tolist(), table.target.tolist(), strict=True))
    assert order == sorted(order)


@pytest.mark.parametrize("seed", range(5))
def test_the_likelihood_never_falls(seed: int) -> None:
    sources, targets = random_corpus(40, seed)

    found = learn_table(sources, targets, vocab_size=VOCAB_SIZE, iterations=25).log_likelihood

    assert len(found) == 25
    assert found[0] == pytest.approx(-math.log(VOCAB_SIZE))
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(found))
    assert found[-1] > found[0] + 0.5


def test_probabilities_of_a_source_piece_sum_to_one() -> None:
    sources, targets = random_corpus(60, seed=2)
    table = learn_table(sources, targets, vocab_size=VOCAB_SIZE, iterations=3)

    sums = np.bincount(table.source, weights=table.probability)
    assert sums[np.unique(table.source)] == pytest.approx(1)


def test_the_words_of_the_textbook_find_each_other() -> None:
    """das Haus = the house, das Buch = the book, ein Buch = a book."""
    das, haus, buch, ein, the, house, book, a = range(4, 12)
    sources = [np.array(x, np.int32) for x in ([das, haus], [das, buch], [ein, buch])]
    targets = [np.array(x, np.int32) for x in ([the, house], [the, book], [a, book])]

    t = as_dictionary(learn_table(sources, targets, vocab_size=12, iterations=30))

    for source, target in ((das, the), (haus, house), (buch, book), (ein, a)):
        assert t[source, target] > 0.9


def test_links_count_what_they_say() -> None:
    sources = [np.array([5, 6, 7], np.int32), np.array([], np.int32)]
    targets = [np.array([8, 9], np.int32), np.array([8], np.int32)]

    assert num_links(sources, targets).tolist() == [8, 1]
