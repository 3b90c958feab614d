"""Subword sampling: the same text in other pieces, the same in every process, and unbiased."""

import math
import os
import random
import subprocess
import sys
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import sentencepiece
import torch
from hypothesis import given
from hypothesis import strategies as st

import training
from model.errors import ConfigError
from model.text.tokenizer import Tokenizer
from training.config import load_config
from training.corpus import TextPairs, encode_corpus
from training.distributed import World
from training.sampling import MAX_POOL, SubwordSampler, merge_with_dropout, sample_lattice
from training.trainer import Trainer
from training.vocabulary import learn_tokenizer

SENTENCES = [
    "the small dog runs under the house.",
    "der Mann sieht die Frau auf der Straße!",
    "on 12 streets, 345 houses and 10.30 Häuser",
]
ODD_LINES = [
    "",
    " ",
    "   ",
    "  two before, two  between, two after  ",
    "\ttab \t tab\t",
    "nul\0nul, next\x85line, carriage\rreturn\r",
    "smile \U0001f600, family \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "<s> </s> <unk> <pad> <0x41>",
    "\u2047 and \u2585 and \ufffd",
    "\u2581",
    "\u2581 \u2581\u2581 x\u2581y \u2581",
    "decomposed: a\u0308 e\u0301 \u1100\u1161",
    "no\u00a0break, ideographic\u3000space, \ufeffmark",
    "漢字 кириллица العربية",
]
LINES = SENTENCES + ODD_LINES

# For a process of its own: an epoch must not depend on the process that draws it.
PRINT_EPOCH = """
import sys
from pathlib import Path
from model.text.tokenizer import Tokenizer
from training.config import load_config
from training.corpus import TextPairs, encode_corpus
from training.sampling import SubwordSampler
lines = sys.argv[3:]
for path in sys.argv[1:3]:
    sampler = SubwordSampler(Tokenizer(Path(path).read_bytes()), lines, alpha=0.3, seed=5)
    for ids in sampler.epoch(3):
        print(*ids)
"""

any_line = st.text(st.characters(exclude_categories=["Cs"]))
marked_line = st.text(st.sampled_from("\u2581\u2585 \tae\u0301\0<>s1"), max_size=20)


def learn(kind: Literal["bpe", "unigram"]) -> Tokenizer:
    return Tokenizer(learn_tokenizer([*SENTENCES * 40, *ODD_LINES], kind=kind, vocab_size=350))


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    return learn("bpe")


@pytest.fixture(scope="module")
def unigram() -> Tokenizer:
    return learn("unigram")


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def tokenizer(request: pytest.FixtureRequest, bpe: Tokenizer, unigram: Tokenizer) -> Tokenizer:
    return bpe if request.param == "bpe" else unigram


def epoch(
    tokenizer: Tokenizer, lines: list[str], *, alpha: float, number: int = 0
) -> list[list[int]]:
    sampler = SubwordSampler(tokenizer, lines, alpha=alpha, seed=1)
    return [ids.tolist() for ids in sampler.epoch(number)]


def total(tokenizer: Tokenizer, ids: list[int]) -> float:
    model = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    return math.fsum(model.get_score(i) for i in ids)


@given(st.lists(any_line | marked_line | st.sampled_from(LINES), max_size=4))
def test_bpe_without_dropout_is_the_ordinary_segmentation(bpe: Tokenizer, lines: list[str]) -> None:
    assert epoch(bpe, lines, alpha=0) == [bpe.encode(line) for line in lines]


def test_odd_lines_without_dropout_are_segmented_as_ever(
    bpe: Tokenizer, tiny_tokenizer: Tokenizer
) -> None:
    for tokenizer in (bpe, tiny_tokenizer):
        assert epoch(tokenizer, LINES, alpha=0) == [tokenizer.encode(line) for line in LINES]


def test_unigram_with_a_large_alpha_is_the_best_segmentation(unigram: Tokenizer) -> None:
    sampled = epoch(unigram, LINES, alpha=1e6)
    best = [unigram.encode(line) for line in LINES]
    for mine, theirs in zip(sampled, best, strict=True):  # their order may differ in a tie
        assert total(unigram, mine) == pytest.approx(total(unigram, theirs), abs=1e-4)
    assert sampled[: len(SENTENCES)] == best[: len(SENTENCES)]


@given(
    st.lists(any_line | marked_line | st.sampled_from(LINES), max_size=4),
    st.floats(0, 1),
    st.integers(0, 2**64),
)
def test_sampled_lines_decode_to_the_text(
    tokenizer: Tokenizer, lines: list[str], alpha: float, seed: int
) -> None:
    sampled = SubwordSampler(tokenizer, lines, alpha=alpha, seed=seed).epoch(2)
    assert [tokenizer.decode(ids.tolist()) for ids in sampled] == [
        unicodedata.normalize("NFC", line) for line in lines
    ]
    assert all(ids.dtype == np.int32 for ids in sampled)


def test_epochs_seeds_and_equal_lines_differ_and_earlier_draws_do_not_matter(
    tokenizer: Tokenizer,
) -> None:
    first = SubwordSampler(tokenizer, SENTENCES * 9, alpha=0.3, seed=1)
    again = SubwordSampler(tokenizer, SENTENCES * 9, alpha=0.3, seed=1)
    other = SubwordSampler(tokenizer, SENTENCES * 9, alpha=0.3, seed=2)
    three = [ids.tolist() for ids in first.epoch(3)]
    assert len({tuple(ids) for ids in three[::3]}) > 1
    assert [ids.tolist() for ids in first.epoch(4)] != three
    assert [ids.tolist() for ids in other.epoch(3)] != three
    for number in (9, 4, 3):
        late = [ids.tolist() for ids in again.epoch(number)]
    assert late == three


def test_another_process_draws_the_same(bpe: Tokenizer, unigram: Tokenizer, tmp_path: Path) -> None:
    lines = SENTENCES * 9
    expected = ""
    paths = [tmp_path / "bpe", tmp_path / "unigram"]
    for tokenizer, path in zip([bpe, unigram], paths, strict=True):
        path.write_bytes(tokenizer.model)
        sampler = SubwordSampler(tokenizer, lines, alpha=0.3, seed=5)
        expected += "".join(" ".join(map(str, ids)) + "\n" for ids in sampler.epoch(3))
    ours = os.environ.get("PYTHONHASHSEED")
    printed = subprocess.run(
        [sys.executable, "-c", PRINT_EPOCH, *map(str, paths), *lines],
        env={**os.environ, "PYTHONHASHSEED": "1" if ours != "1" else "2"},
        cwd=Path(training.__file__).parent.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    assert printed.stdout == expected


def test_dropout_has_the_probabilities_of_algorithm_1() -> None:
    # "abc": ab is the better merge, bc the other, and abc joins either with the third letter.
    scores = {"ab": 0.0, "bc": -1.0, "abc": -2.0, "a": -3.0, "b": -4.0, "c": -5.0}
    drawn = merge_with_dropout("abc", 40_000, random.Random(1), scores=scores, alpha=0.3)
    expected = {
        ("a", "b", "c"): 0.3 * 0.3,
        ("ab", "c"): 0.7 * 0.3,
        ("a", "bc"): 0.3 * 0.7 * 0.3,
        ("abc",): (0.7 + 0.3 * 0.7) * 0.7,
    }
    counts = Counter(drawn)
    assert counts.keys() == expected.keys()
    for pieces, probability in expected.items():
        assert counts[pieces] / 40_000 == pytest.approx(probability, abs=0.01)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_lattice_draws_in_proportion_to_the_power_of_the_probability(alpha: float) -> None:
    weights = {"a": 0.1, "b": 0.2, "c": 0.05, "ab": 0.3, "bc": 0.15, "abc": 0.01}
    scores = {piece: math.log(weight) for piece, weight in weights.items()}
    paths = [("a", "b", "c"), ("ab", "c"), ("a", "bc"), ("abc",)]
    powers = {path: math.prod(weights[piece] for piece in path) ** alpha for path in paths}
    drawn = sample_lattice(
        "abc", 40_000, random.Random(1), scores=scores, alpha=alpha, longest=3, unknown=-20.0
    )
    counts = Counter(drawn)
    assert counts.keys() == powers.keys()
    for path, power in powers.items():
        assert counts[path] / 40_000 == pytest.approx(power / sum(powers.values()), abs=0.01)


def test_a_long_word_does_not_underflow(unigram: Tokenizer) -> None:
    line = "漢e" * 2000
    assert unigram.decode(epoch(unigram, [line], alpha=0.9)[0]) == line


def test_a_frequent_word_has_a_large_pool_and_a_rare_one_a_small_one(unigram: Tokenizer) -> None:
    frequent, rare = "house" * 20, "street" * 20  # thousands of segmentations, all as likely
    lines = [frequent] * 500 + [rare]
    sampler = SubwordSampler(unigram, lines, alpha=0, seed=1)
    seen: dict[str, set[tuple[int, ...]]] = {frequent: set(), rare: set()}
    for number in range(40):
        for line, ids in zip(lines, sampler.epoch(number), strict=True):
            seen[line].add(tuple(ids.tolist()))
    assert len(seen[frequent]) == MAX_POOL
    assert len(seen[rare]) == 4


def test_no_lines_are_no_ids(bpe: Tokenizer) -> None:
    assert SubwordSampler(bpe, [], alpha=0.1, seed=1).epoch(0) == []


def test_a_foreign_tokenizer_is_refused(tmp_path: Path) -> None:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_prefix=str(tmp_path / "foreign"),
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    foreign = Tokenizer((tmp_path / "foreign.model").read_bytes())
    with pytest.raises(ConfigError, match="a tokenizer that dragoman-train learned"):
        SubwordSampler(foreign, SENTENCES, alpha=0.1, seed=1)


@pytest.mark.parametrize("spare", [0, 40])
def test_a_pair_made_too_long_is_trained_on_in_its_ordinary_pieces(
    bpe: Tokenizer, tiny_config: Path, spare: int
) -> None:
    source, target = "the small dog", "der Mann sieht"
    max_length = max(len(bpe.encode(source)), len(bpe.encode(target))) + spare
    config = load_config(tiny_config, ["tokenizer.sampling=0.9", f"model.max_length={max_length}"])
    config = replace(config, model=replace(config.model, vocab_size=bpe.vocab_size))
    pairs = TextPairs(sources=[source] * 30, targets=[target] * 30)
    corpus = encode_corpus(pairs, bpe, max_length=max_length)
    ordinary = {tuple(corpus.sources[0].tolist())}
    trainer = Trainer(
        config, corpus, bpe, device=torch.device("cpu"), dtype=torch.float32, world=World()
    )
    seen = {tuple(ids.tolist()) for ids in next(trainer.batches()).sources}
    assert all(len(ids) <= max_length for ids in seen)
    assert (seen == ordinary) == (spare == 0)
