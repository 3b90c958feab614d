"""The alphabet of a run: every symbol of its training pairs, and what happens to the others."""

import dataclasses
from pathlib import Path

import pytest

from model.errors import ConfigError, DataError
from model.text.alphabet import MAX_SYMBOLS
from training.config.train_config import TrainConfig, parse_config
from training.data.learn_symbols import learn_symbols
from training.data.text_corpus import encode_corpus, read_pairs
from training.data.training_set import load_training_set

CONFIG = """
source: {{kind: symbols, unit: characters}}
target: {{kind: symbols, unit: spaced}}
data:
  data_dir: {folder}
  cache_dir: {folder}/cache
  train: [{{source: a, target: b}}]
  dev: {{source: c, target: d}}
model: {{max_length: 5}}
run: {{max_steps: 1}}
"""


def config_of(folder: Path, **files: str) -> TrainConfig:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return parse_config(CONFIG.format(folder=folder))


def test_all_symbols_of_training_pairs_are_learned_in_order(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        a="ba c\nzzzzzz\n \nae\u0301\nx\ny\u0007\n",
        b="T2 T1 é\nZ\nQ\nU\n\nT\n",
    )
    symbols = learn_symbols(config)
    # Of the second and third pair nothing, and of the fifth: too long, or blank on a side.
    assert symbols.alphabet.symbols == (" ", "T", "T1", "T2", "U", "a", "b", "c", "y", "é")
    training = load_training_set(config.data, symbols, max_length=5)
    assert training.report.kept == 2
    assert training.report.dropped == {"too long": 1, "blank": 2, "with unknown symbols": 1}
    pairs = training.corpora[0].cached.read(0, 2)
    assert [symbols.source.decode(ids.tolist()) for ids in pairs.source.split()] == ["ba c", "aé"]
    assert [symbols.target.decode(ids.tolist()) for ids in pairs.target.split()] == ["T2 T1 é", "U"]


def test_full_width_letters_stay_what_they_are(tmp_path: Path) -> None:
    config = config_of(tmp_path, a="\uff21\u200d\n", b="A\n")
    assert "\uff21" in learn_symbols(config).alphabet.symbols


def test_dev_lines_with_unknown_symbols_are_left_out_and_told(tmp_path: Path) -> None:
    config = config_of(tmp_path, a="ab\n", b="T U\n", c="ab\nax\nba\n\n", d="T\nT\nV\n\n")
    symbols = learn_symbols(config)
    corpus = encode_corpus(read_pairs(config.data.dev, config.data), symbols, max_length=None)
    assert corpus.pairs.sources == ["ab", ""]
    assert corpus.report.describe("dev").startswith("dev: 4 lines, dropped 2 with unknown symbols")


def test_text_is_no_closed_alphabet(tmp_path: Path) -> None:
    words = "\n".join(f"{n} {n + 1}" for n in range(0, MAX_SYMBOLS + 2, 2))
    config = config_of(tmp_path, a="a\n" * (words.count("\n") + 1), b=words + "\n")
    with pytest.raises(ConfigError, match=r"data\.train: symbols: 20,0\d\d symbols, but an alphab"):
        learn_symbols(config)
    short = dataclasses.replace(config, model=dataclasses.replace(config.model, max_length=1))
    with pytest.raises(DataError, match="no symbols in any pair"):
        learn_symbols(short)
