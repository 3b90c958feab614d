"""Joined pairs: what a line is made of, and from a config to a translator that is not cut."""

import io
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from model.checkpoint.checkpoint import load_checkpoint
from model.text.length_pieces import length_ids
from model.text.segmentation import Segmenter
from model.text.tokenizer import Tokenizer
from training.config.train_config import load_config
from training.data.counter_rng import line_keys
from training.data.indexed_corpus import Side
from training.data.joining import draw_groups
from training.data.learn_tokenizer import learn_tokenizer, make_tokenizer
from training.data.training_set import load_training_set, make_loader
from training.train import main

WORDS = ["der", "Hund", "läuft.", "ein", "Haus,", "zwei?", "Straße!", "1234", "x▁y", "漢字"]
SENTENCE = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)


def tokenizers() -> dict[str, Tokenizer]:
    """Two as we learn them, and one of SentencePiece itself, which adds a space by itself."""
    lines = [" ".join(WORDS[start:] + WORDS[:start]) for start in range(len(WORDS))] * 5
    foreign = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=foreign,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return {
        "bpe": Tokenizer(learn_tokenizer(lines, kind="bpe", vocab_size=320)),
        "unigram": Tokenizer(learn_tokenizer(lines, kind="unigram", vocab_size=296)),
        "foreign": Tokenizer(foreign.getvalue()),
    }


TOKENIZERS = tokenizers()


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(first=SENTENCE, second=SENTENCE)
def test_ids_of_two_sentences_are_those_of_the_line_of_both(
    kind: str, first: str, second: str
) -> None:
    tokenizer = TOKENIZERS[kind]
    joined = tokenizer.encode(first) + tokenizer.encode(second)
    assert joined == tokenizer.encode(f"{first} {second}")


@given(
    lengths=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=60),
    share=st.sampled_from([0.0, 0.2, 0.9]),
    most=st.tuples(st.integers(9, 30), st.integers(9, 30)),
    number=st.integers(0, 5),
)
def test_each_pair_is_in_one_line_which_is_not_too_long(
    lengths: list[tuple[int, int]], share: float, most: tuple[int, int], number: int
) -> None:
    count = len(lengths)
    sides = [Side(np.zeros(sum(x), np.int32), np.array(x)) for x in zip(*lengths, strict=True)]
    lines = np.arange(count, dtype=np.uint64)
    keys = line_keys(1, 5, 0, np.full(count, number, np.uint64), lines)
    groups = draw_groups(keys, share, sides[0].lengths, sides[1].lengths, most=most)
    assert sorted(groups.order.tolist()) == list(range(count))
    members = np.split(groups.order, np.cumsum(groups.sizes)[:-1])
    assert all(1 <= len(pairs) <= (3 if share else 1) for pairs in members)
    for side, limit in zip(sides, most, strict=True):
        assert all(sum(side.lengths[pairs]) <= limit for pairs in members)


def test_the_share_is_that_of_the_lines_and_two_are_joined_as_often_as_three() -> None:
    count = 50_000
    keys = line_keys(1, 5, 0, np.zeros(count, np.uint64), np.arange(count, dtype=np.uint64))
    side = Side(np.zeros(count, np.int32), np.ones(count, np.int64))
    sizes = Counter(draw_groups(keys, 0.4, side.lengths, side.lengths, most=(9, 9)).sizes.tolist())
    assert sizes[1] / sizes.total() == pytest.approx(0.6, abs=0.02)
    assert sizes[2] / sizes.total() == pytest.approx(0.2, abs=0.02)
    assert sizes[3] / sizes.total() == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("sampling", ["0", "0.4"])
def test_a_pass_has_each_pair_once_with_its_own_translation(
    tiny_config: Path, sampling: str
) -> None:
    """With a tag and a length piece before the line, and its weight the mean by target pieces."""
    pairs = [(f"Haus {n} ist da.", f"house {n}", n / 100) for n in range(1, 301)]
    rows = "".join(f"{source}\t{target}\t{weight}\n" for source, target, weight in pairs)
    (tiny_config.parent / "a.tsv").write_text(rows)
    corpus = "{files: a.tsv, source_column: 1, target_column: 2, weight_column: 3, tag: <n>}"
    overrides = [f"data.train=[{corpus}]", "data.joined=0.5", f"tokenizer.sampling={sampling}"]
    overrides += ["tokenizer.vocab_size=auto", "model.word_dropout=0", "data.length_buckets=2"]
    config = load_config(tiny_config, overrides)
    tokenizer = make_tokenizer(config)
    data = load_training_set(config.data, tokenizer, max_length=config.model.max_length)
    loader = make_loader(config, data, tokenizer)
    assert data.lengths is not None
    passes = []
    for epoch in (0, 1):
        window = loader.window(epoch, 0)
        sources, targets, weights, inputs, _ = window
        read = [tokenizer.decode(ids.tolist()).split(" ", 1) for ids in sources]
        pieces = length_ids(tokenizer, 2)
        lines = []
        for source, target, weight, ids in zip(read, targets, weights, sources, strict=True):
            tag, text = source if ids[0] not in pieces else source[1].split(" ", 1)
            assert tag == "<n>" and "<n>" not in text
            numbers = list(map(int, re.findall(r"\d+", text)))
            assert text == " ".join(f"Haus {n} ist da." for n in numbers)
            written = " ".join(f"house {n}" for n in numbers)
            assert tokenizer.decode(target.tolist()) == written
            if ids[0] in pieces:
                words = len(written.split())
                assert ids[0] == pieces[words > data.lengths.boundaries[0]]
            sizes = [len(tokenizer.encode(f"house {n}")) for n in numbers]
            mean = np.average([n / 100 for n in numbers], weights=sizes)
            assert weight == pytest.approx(mean, rel=1e-6)
            lines.append(tuple(numbers))
        assert sorted(n for line in lines for n in line) == list(range(1, 301))
        assert sum(len(line) > 1 for line in lines) / len(lines) == pytest.approx(0.5, abs=0.12)
        assert inputs is not sources and all(map(np.array_equal, inputs, targets))
        passes.append(set(lines))
    assert len(passes[0] & passes[1]) < len(passes[0]) / 2
    assert loader.line_sizes.mean() == 300 / len(passes[0])


def test_a_joined_line_made_too_long_is_trained_on_in_its_ordinary_pieces(
    tiny_config: Path,
) -> None:
    overrides = ["data.joined=0.9", "model.word_dropout=0", "tokenizer.sampling=0.9"]
    config = load_config(tiny_config, [*overrides, "model.max_length=12"])
    tokenizer = make_tokenizer(config)
    data = load_training_set(config.data, tokenizer, max_length=12)
    rows = make_loader(config, data, tokenizer).window(0, 0)
    for side in (rows.sources, rows.targets):
        assert max(map(len, side)) <= 12
    ordinary = [
        tokenizer.encode(tokenizer.decode(ids.tolist())) == ids.tolist() for ids in rows.sources
    ]
    assert any(ordinary) and not all(ordinary)


def test_joined_lines_do_not_count_as_lines_of_any_number_of_sentences(tiny_config: Path) -> None:
    run = tiny_config.parent / "run"
    settings = ["data.joined=0.9", "run.max_steps=2", "run.eval_every=2"]
    assert main([str(tiny_config), "--output", str(run), *settings]) == 0
    checkpoint = load_checkpoint(run)
    segmenter = Segmenter(checkpoint.tokenizer, 60, checkpoint.profile)
    plan = segmenter.cut("Das Haus ist rot. Der Hut ist blau.")
    assert len(plan.sources) == 2
    share = checkpoint.profile.several_sentences
    assert share is not None and share < 0.15
    card = (run / "best" / "card.md").read_text(encoding="utf-8")
    assert f"several sentences: {100 * share:.1f} %" in card
