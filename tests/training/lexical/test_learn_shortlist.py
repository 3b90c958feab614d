"""Learning a shortlist: the known translations are in it, and its coverage is counted rightly."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.decoding.lexical_shortlist import Shortlist
from model.text.tokenizer import EOS_ID, UNK_ID, Tokenizer
from training.config.train_config import ShortlistConfig, load_config
from training.data.batching import Ids
from training.data.learn_tokenizer import learn_tokenizer
from training.data.text_corpus import encode_corpus, read_pairs
from training.lexical.learn_shortlist import learn_measured, learn_shortlist, measure_coverage

FIRST, WORDS, FILLER = 260, 12, 290  # source word FIRST + i becomes target word FIRST + 12 + i


def word_by_word(pairs: int = 200, seed: int = 1) -> tuple[list[Ids], list[Ids]]:
    """Each word has one translation; the order is shuffled; the filler follows every sentence."""
    rng = np.random.default_rng(seed)
    sources, targets = [], []
    for _ in range(pairs):
        source = rng.integers(FIRST, FIRST + WORDS, rng.integers(1, 6))
        sources.append(source.astype(np.int32))
        targets.append(np.append(rng.permutation(source) + WORDS, FILLER).astype(np.int32))
    return sources, targets


def sizes(candidates: int, frequent: int, max_links: int = 10**6) -> ShortlistConfig:
    return ShortlistConfig(candidates=candidates, frequent=frequent, max_links=max_links)


def equal(one: Shortlist, other: Shortlist) -> bool:
    names = ("candidates", "frequent", "byte_pieces")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_the_known_translation_comes_first(tiny_tokenizer: Tokenizer) -> None:
    learned = learn_shortlist(*word_by_word(), tiny_tokenizer, sizes(2, 1))

    assert learned.candidates.shape == (tiny_tokenizer.vocab_size, 2)
    assert learned.candidates.dtype == np.int32
    sources = np.arange(FIRST, FIRST + WORDS)
    assert learned.candidates[sources, 0].tolist() == (sources + WORDS).tolist()
    assert learned.frequent.tolist() == [EOS_ID, FILLER]
    words = [FIRST, FIRST + 3]
    assert set(learned.of(words)) >= {FIRST + WORDS, FIRST + WORDS + 3, FILLER, EOS_ID}


def test_pieces_never_seen_have_no_candidates(tiny_tokenizer: Tokenizer) -> None:
    learned = learn_shortlist(*word_by_word(), tiny_tokenizer, sizes(3, 0))

    assert learned.candidates[310].tolist() == [EOS_ID] * 3
    assert learned.of([310]).tolist() == [EOS_ID, 310]


def test_every_byte_of_an_unknown_character_can_be_spelt(tiny_tokenizer: Tokenizer) -> None:
    learned = learn_shortlist(*word_by_word(), tiny_tokenizer, sizes(3, 0))
    snowman = tiny_tokenizer.encode("☃")

    assert tiny_tokenizer.piece(snowman[-1]).startswith("<0x")
    assert len(learned.byte_pieces) == 256
    assert set(tiny_tokenizer.encode("Ω")) <= set(learned.of(snowman).tolist())
    assert tiny_tokenizer.piece(int(learned.byte_pieces[0])) == "<0x00>"


def test_more_candidates_and_frequent_pieces_than_there_are(tiny_tokenizer: Tokenizer) -> None:
    learned = learn_shortlist(*word_by_word(), tiny_tokenizer, sizes(500, 500))

    assert learned.frequent.tolist() == [
        EOS_ID,
        *range(FIRST + WORDS, FIRST + 2 * WORDS),
        FILLER,
    ]
    assert learned.candidates.shape == (tiny_tokenizer.vocab_size, 500)


def test_unknown_pieces_of_a_foreign_tokenizer_are_no_candidates(tiny_tokenizer: Tokenizer) -> None:
    sources, targets = word_by_word()
    targets = [np.append(ids, [UNK_ID] * 9).astype(np.int32) for ids in targets]

    learned = learn_shortlist(sources, targets, tiny_tokenizer, sizes(4, 3))

    assert learned.candidates.min() >= EOS_ID
    assert learned.frequent.min() >= EOS_ID


def test_a_large_corpus_is_sampled_evenly(tiny_tokenizer: Tokenizer) -> None:
    """Sorted by content: neither its beginning nor its end may be lost."""
    sources = [np.full(4, FIRST + number // 300, np.int32) for number in range(3000)]
    targets = [ids + WORDS for ids in sources]  # (4 + 1) * 4 links in each pair

    learned = learn_shortlist(sources, targets, tiny_tokenizer, sizes(1, 0, max_links=20 * 100))

    every_30th = learn_shortlist(sources[::30], targets[::30], tiny_tokenizer, sizes(1, 0))
    assert equal(learned, every_30th)
    assert learned.candidates[FIRST : FIRST + 10, 0].tolist() == [
        *range(FIRST + WORDS, FIRST + WORDS + 10)
    ]
    one = learn_shortlist(sources, targets, tiny_tokenizer, sizes(1, 0, max_links=1))
    assert (one.candidates != EOS_ID).sum() == 2  # of NULL and of the only source piece


def test_coverage_counts_pieces_sentences_and_sizes() -> None:
    shortlist = Shortlist(
        candidates=np.full((20, 1), EOS_ID, np.int32),
        frequent=np.array([EOS_ID, 4, 5], np.int32),
        byte_pieces=np.array([], np.int32),
    )
    sources = [np.array(x, np.int32) for x in ([6], [7, 8], [9])]
    references = [np.array(x, np.int32) for x in ([4, 6], [4, 9, 9, 7], [])]

    coverage = measure_coverage(shortlist, sources, references)

    assert coverage.pieces == pytest.approx(4 / 6)
    assert coverage.sentences == pytest.approx(2 / 3)
    assert coverage.size == pytest.approx((4 + 5 + 4) / 3)
    assert "66.7% of the pieces and all of 66.7%" in coverage.describe()


@pytest.mark.data
@pytest.mark.skipif("DRAGOMAN_DATA" not in os.environ, reason="DRAGOMAN_DATA is not set")
def test_a_quarter_of_multi30k_teaches_most_of_its_dev_set() -> None:
    config = load_config(Path(__file__).parents[3] / "configs" / "multi30k_en_de.yaml")
    corpora = (config.data.train[0], config.data.dev)
    train, dev = (read_pairs(corpus, config.data) for corpus in corpora)
    few = replace(train, sources=train.sources[::4], targets=train.targets[::4])
    lines = [*few.sources, *few.targets]
    tokenizer = Tokenizer(learn_tokenizer(lines, kind="bpe", vocab_size=4000))
    small, held_out = (encode_corpus(pairs, tokenizer, max_length=100) for pairs in (few, dev))

    learned = learn_measured(small.sources, small.targets, held_out, tokenizer, ShortlistConfig())

    assert learned.coverage.pieces > 0.9
    assert learned.coverage.size < 600
    assert learned.duration_s < 30
