"""Subword sampling: the same text in other pieces, the same in every process, and unbiased."""

import math
import os
import random
import subprocess
import sys
import unicodedata
from collections import Counter
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
from training.config import load_config
from training.counted import line_keys
from training.sampling import POOL, SubwordSampler, merge_with_dropout, sample_lattice
from training.training_data import load_training_data, make_stream
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
import numpy as np
from training.counted import line_keys
from training.sampling import SubwordSampler
lines = sys.argv[3:]
rows = np.arange(len(lines), dtype=np.uint64)
keys = line_keys(5, 0, 0, np.full_like(rows, 3), rows)
for path in sys.argv[1:3]:
    sampler = SubwordSampler(Tokenizer(Path(path).read_bytes()), alpha=0.3, seed=5)
    for ids in sampler.sample(lines, keys).split():
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


def keys(count: int, number: int, seed: int = 1) -> NDArray[np.uint64]:
    rows = np.arange(count, dtype=np.uint64)
    return line_keys(seed, 0, 0, np.full_like(rows, number), rows)


def epoch(
    tokenizer: Tokenizer, lines: list[str], *, alpha: float, number: int = 0, seed: int = 1
) -> list[list[int]]:
    sampler = SubwordSampler(tokenizer, alpha=alpha, seed=seed)
    drawn = sampler.sample(lines, keys(len(lines), number, seed)).split()
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
        late = [ids.tolist() for ids in sampler.sample(lines, keys(27, number)).split()]
    assert late == three
    backwards = sampler.sample(lines[::-1], keys(27, 3)[::-1]).split()
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


def test_a_word_has_at_most_a_pool_of_segmentations(unigram: Tokenizer) -> None:
    word = "house" * 20  # thousands of segmentations, all as likely
    seen = {tuple(ids) for ids in epoch(unigram, [word] * 3000, alpha=0)}
    assert len(seen) == POOL


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
    data = load_training_data(config.data, bpe, max_length=max_length)
    stream = make_stream(config, data, bpe)
    seen = {tuple(ids.tolist()) for ids in next(stream.batches()).sources}
    assert all(len(ids) <= max_length for ids in seen)
    assert (seen == {tuple(bpe.encode(source))}) == (spare == 0)
