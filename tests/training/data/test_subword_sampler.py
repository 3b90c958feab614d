"""Subword sampling: the same text in other pieces, the same in every process, and unbiased."""

import math
import os
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import training
from model.errors import ConfigError
from model.text.tokenizer import Tokenizer
from training.config.train_config import load_config
from training.data.counter_rng import line_keys, splitmix64
from training.data.indexed_corpus import Side
from training.data.learn_tokenizer import learn_tokenizer
from training.data.subword_kernels import Words
from training.data.subword_sampler import (
    Draw,
    Scores,
    SubwordSampler,
    bpe_dropout,
    unigram_sampling,
)
from training.data.training_set import load_training_set, make_loader

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
import numpy as np
from training.data.counter_rng import line_keys
from training.data.indexed_corpus import Side
from training.data.subword_sampler import SubwordSampler
lines = sys.argv[3:]
rows = np.arange(len(lines), dtype=np.uint64)
keys = line_keys(5, 0, 0, np.full_like(rows, 3), rows)
for path in sys.argv[1:3]:
    tokenizer = Tokenizer(Path(path).read_bytes())
    side = Side.joined([np.array(tokenizer.encode(line), np.int32) for line in lines])
    for ids in SubwordSampler(tokenizer, alpha=0.3, seed=5).sample(side, keys).split():
        print(*ids)
"""

Pieces = tuple[str, ...]

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


def keys(count: int, number: int, seed: int = 1) -> NDArray[np.uint64]:
    rows = np.arange(count, dtype=np.uint64)
    return line_keys(seed, 0, 0, np.full_like(rows, number), rows)


def encoded(tokenizer: Tokenizer, lines: list[str]) -> Side:
    ids = [np.array(line, np.int32) for line in tokenizer.encode_lines(lines)]
    return Side.joined(ids) if ids else Side(np.empty(0, np.int32), np.empty(0, np.int64))


def epoch(
    tokenizer: Tokenizer, lines: list[str], *, alpha: float, number: int = 0, seed: int = 1
) -> list[list[int]]:
    sampler = SubwordSampler(tokenizer, alpha=alpha, seed=seed)
    drawn = sampler.sample(encoded(tokenizer, lines), keys(len(lines), number, seed)).split()
    assert all(ids.dtype == np.int32 for ids in drawn)
    return [ids.tolist() for ids in drawn]


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
    sampled = epoch(tokenizer, lines, alpha=alpha, number=2, seed=seed)
    assert [tokenizer.decode(ids) for ids in sampled] == [
        unicodedata.normalize("NFC", line) for line in lines
    ]


def test_epochs_seeds_and_equal_lines_differ_and_earlier_draws_do_not_matter(
    tokenizer: Tokenizer,
) -> None:
    lines = SENTENCES * 9
    three = epoch(tokenizer, lines, alpha=0.3, number=3)
    assert len({tuple(ids) for ids in three[::3]}) > 1
    assert epoch(tokenizer, lines, alpha=0.3, number=4) != three
    assert epoch(tokenizer, lines, alpha=0.3, number=3, seed=2) != three
    sampler = SubwordSampler(tokenizer, alpha=0.3, seed=1)
    for number in (9, 4, 3):
        side = sampler.sample(encoded(tokenizer, lines), keys(27, number))
        late = [ids.tolist() for ids in side.split()]
    assert late == three
    backwards = sampler.sample(encoded(tokenizer, lines[::-1]), keys(27, 3)[::-1]).split()
    assert [ids.tolist() for ids in backwards][::-1] == three


def test_another_process_draws_the_same(bpe: Tokenizer, unigram: Tokenizer, tmp_path: Path) -> None:
    lines = SENTENCES * 9
    expected = ""
    paths = [tmp_path / "bpe", tmp_path / "unigram"]
    for tokenizer, path in zip([bpe, unigram], paths, strict=True):
        path.write_bytes(tokenizer.model)
        drawn = epoch(tokenizer, lines, alpha=0.3, number=3, seed=5)
        expected += "".join(" ".join(map(str, ids)) + "\n" for ids in drawn)
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


def draws(draw: Draw, symbols: list[int], count: int = 40_000) -> Counter[tuple[int, ...]]:
    """How often each segmentation of a word is drawn, of `count` times."""
    running = np.tile(np.array(symbols, np.int32), count)
    starts = np.arange(count + 1) * len(symbols)
    sizes = np.empty(count, np.int64)
    words = Words(running, starts, splitmix64(np.arange(count, dtype=np.uint64)))
    total = draw(words, sizes)
    assert total == sizes.sum()
    return Counter(tuple(ids.tolist()) for ids in Side(running[:total], sizes).split())


def algorithm_1(pieces: Pieces, scores: Scores, alpha: float) -> dict[Pieces, float]:
    """The probability of each result of Provilkov et al. (2020), Algorithm 1, by way of all ways.

    At every step each possible merge is left out with probability `alpha`, and the best that
    remains is applied, so that this is one with probability alpha^(better ones) (1 - alpha).
    """
    merges = [(left + right, at) for at, (left, right) in enumerate(pairwise(pieces))]
    possible = [(-scores[piece][1], at, piece) for piece, at in merges if piece in scores]
    found: dict[Pieces, float] = defaultdict(float, {pieces: alpha ** len(possible)})
    for better, (_, at, piece) in enumerate(sorted(possible)):
        after = algorithm_1((*pieces[:at], piece, *pieces[at + 2 :]), scores, alpha)
        for result, probability in after.items():
            found[result] += alpha**better * (1 - alpha) * probability
    return found


# "abc": ab is the better merge, bc the other, and abc joins either with the third letter.
TOY: Scores = {p: (id, -id) for id, p in enumerate(["ab", "bc", "abc", "a", "b", "c"])}


def test_algorithm_1_by_hand() -> None:
    assert algorithm_1(("a", "b", "c"), TOY, 0.3) == pytest.approx(
        {
            ("a", "b", "c"): 0.3 * 0.3,
            ("ab", "c"): 0.7 * 0.3,
            ("a", "bc"): 0.3 * 0.7 * 0.3,
            ("abc",): (0.7 + 0.3 * 0.7) * 0.7,
        }
    )


@pytest.mark.parametrize("alpha", [0.1, 0.5])
@pytest.mark.parametrize("word", ["abc", "\u2581house", "\u2581houses", "\u2581street"])
def test_dropout_has_the_probabilities_of_algorithm_1(
    bpe: Tokenizer, word: str, alpha: float
) -> None:
    scores = TOY if word == "abc" else bpe.subwords()
    counts = draws(bpe_dropout(scores, alpha), [scores[letter][0] for letter in word])
    expected = algorithm_1(tuple(word), scores, alpha)
    assert len(expected) >= 4
    assert sum(counts.values()) == 40_000
    for pieces, probability in expected.items():
        drawn = counts.pop(tuple(scores[piece][0] for piece in pieces), 0)
        assert drawn / 40_000 == pytest.approx(probability, abs=0.01)
    assert not counts


def test_dropout_draws_the_same_on_every_machine() -> None:
    draw = bpe_dropout(TOY, 0.5)
    assert draws(draw, [3, 4, 5], 1000) == {(3, 4, 5): 262, (0, 5): 255, (3, 1): 125, (2,): 358}


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_lattice_draws_in_proportion_to_the_power_of_the_probability(alpha: float) -> None:
    weights = {"a": 0.1, "b": 0.2, "c": 0.05, "ab": 0.3, "bc": 0.15, "abc": 0.01}
    scores = {piece: (id, math.log(weight)) for id, (piece, weight) in enumerate(weights.items())}
    spelling = [[0], [1], [2], [0, 1], [1, 2], [0, 1, 2]]
    paths = [("a", "b", "c"), ("ab", "c"), ("a", "bc"), ("abc",)]
    powers = {path: math.prod(weights[piece] for piece in path) ** alpha for path in paths}
    counts = draws(unigram_sampling(spelling, scores, alpha), [0, 1, 2])
    assert sum(counts.values()) == 40_000
    for path, power in powers.items():
        drawn = counts.pop(tuple(scores[piece][0] for piece in path))
        assert drawn / 40_000 == pytest.approx(power / sum(powers.values()), abs=0.01)
    assert not counts


@pytest.mark.parametrize("word", ["漢e" * 2000, "house" * 1000])
def test_a_long_word_is_one_too(tokenizer: Tokenizer, word: str) -> None:
    assert tokenizer.decode(epoch(tokenizer, [word], alpha=0.9)[0]) == word


def test_how_a_line_was_segmented_before_does_not_matter(tokenizer: Tokenizer) -> None:
    sampler = SubwordSampler(tokenizer, alpha=0.3, seed=1)
    of_lines = keys(len(LINES), 0)
    ordinary = encoded(tokenizer, LINES)
    other = sampler.sample(ordinary, keys(len(LINES), 1))
    assert other.ids.tolist() != ordinary.ids.tolist()
    one, two = sampler.sample(ordinary, of_lines), sampler.sample(other, of_lines)
    assert one.ids.tolist() == two.ids.tolist()
    assert one.lengths.tolist() == two.lengths.tolist()


def test_a_word_of_many_segmentations_seldom_has_the_same_one_again(unigram: Tokenizer) -> None:
    word = "house" * 20  # thousands of segmentations, all as likely
    seen = {tuple(ids) for ids in epoch(unigram, [word] * 3000, alpha=0)}
    assert len(seen) > 2900


def test_no_lines_are_no_ids(bpe: Tokenizer) -> None:
    assert epoch(bpe, [], alpha=0.1) == []


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
        SubwordSampler(foreign, alpha=0.1, seed=1)


@pytest.mark.parametrize("spare", [0, 40])
def test_a_pair_made_too_long_is_trained_on_in_its_ordinary_pieces(
    bpe: Tokenizer, tiny_config: Path, spare: int
) -> None:
    source, target = "the small dog", "der Mann sieht"
    max_length = max(len(bpe.encode(source)), len(bpe.encode(target))) + spare
    (tiny_config.parent / "train.de").write_text(f"{source}\n" * 30, encoding="utf-8")
    (tiny_config.parent / "train.en").write_text(f"{target}\n" * 30, encoding="utf-8")
    settings = ["tokenizer.sampling=0.9", f"model.max_length={max_length}", "model.word_dropout=0"]
    config = load_config(tiny_config, settings)
    data = load_training_set(config.data, bpe, max_length=max_length)
    loader = make_loader(config, data, bpe)
    seen = {tuple(ids.tolist()) for ids in next(loader.batches()).sources}
    assert all(len(ids) <= max_length for ids in seen)
    assert (seen == {tuple(bpe.encode(source))}) == (spare == 0)
