"""Length buckets against counts of the text itself, and from a config to a translator."""

import random
from pathlib import Path

import numpy as np
import pytest

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.options import SearchOptions
from model.errors import ConfigError
from model.text.length_pieces import bucket_of, length_ids
from model.text.tokenizer import Tokenizer
from model.translation.avoid_automaton import PieceTexts
from model.translator import Translator
from training.config.train_config import load_config, parse_config
from training.data.indexed_corpus import Side
from training.data.learn_tokenizer import make_tokenizer
from training.data.length_buckets import LEFT_OUT, count_words
from training.data.training_set import load_training_set, make_loader
from training.train import main

BUCKETS = "data.length_buckets=4"
WORDS = ["one", "two", "red", "blue,", "house:", "hat", "sees", "the"]


@pytest.fixture
def config_file(tiny_config: Path) -> Path:
    """1,500 pairs, whose targets have 1 to 12 words, more often few."""
    rng = random.Random(5)
    lines = [
        " ".join(rng.choices(WORDS, k=min(rng.randint(1, 12), rng.randint(1, 12))))
        for _ in range(1500)
    ]
    for name in ("train.de", "train.en"):
        (tiny_config.parent / name).write_text("".join(f"{line}\n" for line in lines))
    return tiny_config


def test_words_are_counted_as_in_the_text(tiny_tokenizer: Tokenizer) -> None:
    texts = ["der Hund", "x", " zwei  Lücken ", "Straße, und\tTab日 .", "a b c d e f"]
    side = Side.joined([np.array(tiny_tokenizer.encode(text), np.int32) for text in texts])
    found = count_words(side, PieceTexts(tiny_tokenizer).words)
    assert found.tolist() == [len(text.split()) for text in texts]


@pytest.mark.parametrize("sampling", ["0", "0.2"])
def test_the_piece_of_its_targets_bucket_stands_before_a_source(
    config_file: Path, sampling: str
) -> None:
    tagged = "data.train=[{source: train.de, target: train.en, tag: <news>}]"
    overrides = [BUCKETS, f"tokenizer.sampling={sampling}", tagged, "model.word_dropout=0"]
    config = load_config(config_file, overrides)
    tokenizer = make_tokenizer(config)
    data = load_training_set(config.data, tokenizer, max_length=50)
    assert data.lengths is not None
    boundaries = data.lengths.boundaries
    lines = (config_file.parent / "train.en").read_text().splitlines()
    counts = np.array([len(line.split()) for line in lines])
    shares = [float((counts <= most).mean()) for most in boundaries]
    for number, (share, most) in enumerate(zip(shares, boundaries, strict=True), 1):
        assert share >= number / 4 > float((counts < most).mean())
    assert f"at most {boundaries[0]}, {boundaries[1]}" in data.describe()[-1]

    loader = make_loader(config, data, tokenizer)
    ids = length_ids(tokenizer, 4)
    passes = [loader.window(epoch, 0) for epoch in (0, 1)]
    for rows in passes:
        placed = 0
        for source, target in zip(rows.sources, rows.targets, strict=True):
            words = tokenizer.decode(target.tolist())
            read = tokenizer.decode(source.tolist()).split()
            if source[0] in ids:
                placed += 1
                assert source[0] == ids[bucket_of(boundaries, len(words.split()))]
                read = read[1:]
            assert read == ["<news>", *words.split()]
        assert placed / len(rows.sources) == pytest.approx(1 - LEFT_OUT, abs=0.03)
    again = make_loader(config, data, tokenizer).window(0, 0)
    assert all(map(np.array_equal, again.sources, passes[0].sources))


def test_without_the_key_nothing_is_placed(config_file: Path) -> None:
    config = load_config(config_file)
    tokenizer = make_tokenizer(config)
    data = load_training_set(config.data, tokenizer, max_length=50)
    assert data.lengths is None
    with pytest.raises(ConfigError, match="length_buckets: <length_1> is no piece"):
        load_training_set(load_config(config_file, [BUCKETS]).data, tokenizer, max_length=50)


@pytest.mark.parametrize("count", [-1, 1, 101])
def test_numbers_out_of_range_are_refused(config_file: Path, count: int) -> None:
    with pytest.raises(ConfigError, match=rf"data\.length_buckets: {count} is out of range\. Use"):
        parse_config(config_file.read_text(), [f"data.length_buckets={count}"])


def test_a_checkpoint_has_the_boundaries_and_requests_the_piece(config_file: Path) -> None:
    run = config_file.parent / "run"
    assert main([str(config_file), "--output", str(run), BUCKETS, "run.max_steps=2"]) == 0
    checkpoint = load_checkpoint(run)
    boundaries = checkpoint.profile.length_buckets
    assert len(boundaries) == 3
    translator = Translator.load(run, precision="fp32")
    ids = length_ids(checkpoint.tokenizer, 4)
    text = "one two red house"
    source = tuple(checkpoint.tokenizer.encode(text))
    for options, bucket in (
        (SearchOptions(), None),
        (SearchOptions(max_words=1), 0),
        (SearchOptions(min_words=boundaries[2] + 1), 3),
        (SearchOptions(min_words=1, max_words=2 * boundaries[1] - 1), 1),
        (SearchOptions(ratio=1.0), bucket_of(boundaries, 3.5)),
    ):
        (request,) = translator._phrases.requests([source], options)
        assert request.src == (source if bucket is None else (ids[bucket], *source))
        assert request.uncopied == set(ids)
        (found,) = translator.search([text], options)
        best = found.hypotheses[0]
        assert best.weights is not None
        assert best.weights.shape == (len(best.pieces) + 1, len(source) + 1)
        assert len(found.source_pieces) == len(source)
        assert all(0 <= place < len(source) for place in best.alignment)


def test_the_piece_has_room_before_the_longest_part(config_file: Path) -> None:
    run = config_file.parent / "run"
    short = "model.max_length=20"
    assert main([str(config_file), "--output", str(run), BUCKETS, "run.max_steps=2", short]) == 0
    translator = Translator.load(run, precision="fp32")
    plain, asked = SearchOptions(), SearchOptions(ratio=0.5)
    (found,) = translator.search(["one two " * 30], plain)
    (same,) = translator.search(["one two " * 30], asked)
    assert same.source_pieces == found.source_pieces  # cut in the same places
    long = translator._segmenter.cut("one two " * 30, split_sentences="never").sources
    assert 16 < max(map(len, long)) <= 19
