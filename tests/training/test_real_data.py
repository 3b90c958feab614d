"""The shipped configs on the corpora that they were written for (marker `data`)."""

import itertools
import os
from pathlib import Path

import pytest

from model.text.tokenizer import Tokenizer
from training.config.train_config import load_config
from training.data.learn_tokenizer import learn_tokenizer
from training.data.text_corpus import TextPairs, all_lines, encode_corpus, read_pairs

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif("DRAGOMAN_DATA" not in os.environ, reason="DRAGOMAN_DATA is not set"),
]

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(
    ("name", "train", "dev"),
    [("multi30k_en_de", 29_000, 1_014), ("tatoeba_de_en", 155_554, 2_001)],
)
def test_corpora_are_aligned_and_their_lines_round_trip(name: str, train: int, dev: int) -> None:
    config = load_config(CONFIGS / f"{name}.yaml")
    pairs = read_pairs(config.data.train[0], config.data)
    assert len(pairs.sources) == train
    assert len(read_pairs(config.data.dev, config.data).sources) == dev
    few = TextPairs(sources=pairs.sources[:2000], targets=pairs.targets[:2000])
    tokenizer = Tokenizer(learn_tokenizer(all_lines(few), kind="bpe", vocab_size=1000))
    corpus = encode_corpus(few, tokenizer, max_length=config.model.max_length)
    assert corpus.report.kept > 1990
    for line in itertools.islice(all_lines(pairs), 0, None, 50):
        assert tokenizer.decode(tokenizer.encode(line)) == line
