"""A tiny corpus and its config, for tests that train."""

import random
from pathlib import Path

import pytest

from training.train import main

CONFIG = """
data:
  data_dir: {folder}
  cache_dir: {folder}/cache
  train: [{{source: train.de, target: train.en}}]
  dev: {{source: dev.de, target: dev.en}}
  source_language: German
  target_language: English
  license: CC0
  attribution: nobody
tokenizer: {{vocab_size: 290, sampling: 0.1}}
model:
  embedding_size: 16
  encoder_layers: 1
  encoder_size: 32
  decoder_size: 32
  dropout: 0.1
  embedding_dropout: 0.1
  word_dropout: 0.05
optimizer: {{warmup_steps: 2, learning_rate: 0.01}}
run: {{max_steps: 8, batch_tokens: 300, eval_every: 4, log_every: 2, threads: 1, precision: fp32}}
search: {{beam_size: 2, max_length_a: 1, max_length_b: 5}}
"""

WORDS = {"ein": "one", "zwei": "two", "rot": "red", "blau": "blue", "Haus": "house", "Hut": "hat"}


def write_tiny_corpus(folder: Path) -> Path:
    """A config file whose corpus, 60 + 8 pairs of word-by-word translations, lies beside it."""
    rng = random.Random(1)
    for name, count in (("train", 60), ("dev", 8)):
        lines = [rng.choices(list(WORDS), k=rng.randint(1, 6)) for _ in range(count)]
        source = "".join(" ".join(line) + "\n" for line in lines)
        target = "".join(" ".join(WORDS[word] for word in line) + "\n" for line in lines)
        (folder / f"{name}.de").write_text(source, encoding="utf-8")
        (folder / f"{name}.en").write_text(target, encoding="utf-8")
    path = folder / "tiny.yaml"
    path.write_text(CONFIG.format(folder=folder), encoding="utf-8")
    return path


@pytest.fixture
def tiny_config(tmp_path: Path) -> Path:
    """See `write_tiny_corpus`."""
    return write_tiny_corpus(tmp_path)


@pytest.fixture(scope="module")
def begun_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `tiny.yaml`, its corpus, and `run`, which has done 4 updates of 8."""
    folder = tmp_path_factory.mktemp("begun")
    config = write_tiny_corpus(folder)
    assert main([str(config), "--output", str(folder / "run"), "run.max_steps=4"]) == 0
    return folder
