"""Every mistake in a config is told at once, one a line, by the command itself."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from model.checkpoint.checkpoint import load_checkpoint
from model.errors import ConfigError, ConfigErrors
from model.translator import Translator
from tests.patience import PATIENCE_S
from training.config.train_config import parse_config
from training.train import main

BARE = """
data:
  data_dir: {folder}
  train: [{{source: train.de, target: train.en}}]
  dev: {{source: dev.de, target: dev.en}}
run: {{max_steps: 2}}
"""

WRONG = """
training: {epochs: 3}
data:
  train:
    - {src: train.de, target: train.en}
    - {files: absent.tsv, weight: 0}
  dev: {source: dev.de, target: gone.en}
  source_language: 12345
  target_language: Elbonian of the second age
  filters: {max_ratio: 0.5}
model:
  hidden_size: 5
  encoder_size: 63
  dropout: 1.5
  cell: LSTM
run: {max_steps: many, eval_every: 0, seed: -1}
optimizer:
tokenizer: {vocab_size: 0, model: absent.model}
search: {beam_size: 0, alpha: -1, lenght_penalty: gnmt}
validation: {metrics: [blue], tokenize: words}
lr: 0.1
"""

TOLD = [
    "training: unknown key. Here its settings are in 'optimizer' and 'run', and its corpora are",
    "data.train[0].src: unknown key. Did you mean 'source'?",
    "data.train[1].files: absent.tsv: no such file.",
    "data.train[1].weight: 0.0 must be above 0",
    "data.dev.target: gone.en: no such file.",
    "data.source_language: 12345 is not allowed, it must be text",
    "data.target_language: 'Elbonian of the second age' is not a language",
    "data.filters.max_ratio: 0.5 would leave nothing",
    "model.hidden_size: unknown key. Here they are 'model.encoder_size' and 'model.decoder_size'",
    "model.encoder_size: 63 is odd",
    "model.dropout: 1.5 is not in 0 to 0.9",
    "model.cell: 'gru2' is not allowed",
    "run.max_steps: 'many' is not allowed, it must be a whole number",
    "run.eval_every: 0 is too small",
    "run.seed: -1 is negative",
    "run.sed: unknown key. Did you mean 'seed'?",
    "run.keep=[: not valid YAML",
    "optimizer.schedule: 'linear' is not allowed",
    "tokenizer.vocab_size: 0 is too small",
    "tokenizer.model: absent.model: no such file.",
    "search.beam_size: 0 is out of range",
    "search.alpha: -1.0 is out of range",
    "search.lenght_penalty: unknown key. Did you mean 'length_penalty'?",
    "validation.metrics[0]: 'blue' is not allowed",
    "validation.tokenize: 'words' is not allowed",
    "lr: unknown key. Here it is 'optimizer.learning_rate'",
    "'max_steps=3': write an override as section.key=value",
]
OVERRIDES = [
    "model.cell=gru2",
    "run.sed=5",
    "max_steps=3",
    "run.keep=[",
    "optimizer.schedule=linear",
]


def train(folder: Path, text: str, *more: str) -> "subprocess.CompletedProcess[str]":
    (folder / "my.yaml").write_text(text, encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if key != "DRAGOMAN_DATA"}
    root = Path(__file__).parents[3]
    return subprocess.run(
        [sys.executable, "-m", "training.train", "my.yaml", "--output", "run", *more],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def test_the_command_tells_all_at_once_in_the_order_of_the_file(tiny_config: Path) -> None:
    done = train(tiny_config.parent, WRONG, *OVERRIDES)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    prefix = "dragoman-train: error: my.yaml: "
    assert all(line.startswith(prefix) for line in lines)
    places = [[told in line for line in lines].index(True) for told in TOLD if told in done.stderr]
    assert len(lines) == len(TOLD) == len(places), done.stderr
    assert places == sorted(places)
    assert not (tiny_config.parent / "run").exists()


def test_what_is_not_yaml_is_told_alone(tmp_path: Path) -> None:
    done = train(tmp_path, "data: [", "run.max_steps=many")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "not valid YAML" in done.stderr


def lines_of(text: str, *overrides: str, check_files: bool = False) -> tuple[str, ...]:
    with pytest.raises(ConfigErrors) as raised:
        parse_config(text, overrides, check_files=check_files)
    assert str(raised.value) == "\n".join(raised.value.lines)
    return raised.value.lines


def test_an_empty_section_lacks_only_what_is_required() -> None:
    needed = ("data.train: missing", "data.dev: missing", "run.max_steps: missing")
    for text in ("model: {}", "data:\nrun:\nsearch:", "tokenizer: {}"):
        lines = lines_of(text)
        assert len(lines) == 3
        assert sorted(line.split(".", 2)[0] for line in lines) == ["data", "data", "run"]
        for told in needed:
            assert any(line.startswith(told) for line in lines)
    assert lines_of("model: 5")[0] == (
        "model: 5 is not allowed, it must be a mapping of keys to values."
    )
    assert lines_of("tokenizer: {1: 2}")[0].startswith("tokenizer.1: unknown key")


GOOD = BARE.format(folder=".")


def test_a_missing_key_that_is_there_under_another_name_is_told_once() -> None:
    assert lines_of(GOOD.replace("train:", "corpora:")) == (
        "data.corpora: unknown key. Here the corpora are 'data.train', a list such as "
        "[{source: FILE, target: FILE}].",
    )


def test_nothing_is_said_in_view_of_a_value_that_is_not_known() -> None:
    """3 heads do not divide the default width; but the width is another one, which is mistyped."""
    lines = lines_of(GOOD, "model.attention_heads=3", "model.encoder_size=wide")
    assert len(lines) == 1 and "model.encoder_size: 'wide'" in lines[0]
    assert len(lines_of(GOOD, "model.attention_heads=3")) == 1
    lines = lines_of(GOOD, "optimizer.warmup_steps=5", "run.max_steps=many")
    assert len(lines) == 1 and "run.max_steps" in lines[0]


def test_rules_between_sections_are_checked_together() -> None:
    without = ["model.dropout=0", "model.embedding_dropout=0", "objective.rdrop=1"]
    lines = lines_of(GOOD, *without, "optimizer.warmup_steps=5")
    assert [line.split(":")[0] for line in lines] == ["objective.rdrop", "optimizer.warmup_steps"]


def test_one_folder_that_is_not_there_is_one_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = lines_of(BARE.format(folder=tmp_path / "absent"), check_files=True)
    assert "absent: no such folder. Mend data.data_dir." in line
    monkeypatch.setenv("DRAGOMAN_DATA", str(tmp_path / "gone"))
    text = BARE.replace("  data_dir: {folder}\n", "").format()
    (line,) = lines_of(text, check_files=True)
    assert "gone: no such folder. Mend the variable DRAGOMAN_DATA." in line


def test_several_mistakes_reach_another_process_whole() -> None:
    error = pickle.loads(pickle.dumps(ConfigErrors(["a: b", "c\nd"])))
    assert isinstance(error, ConfigError)
    assert error.lines == ("a: b", "c\nd")


def test_the_corpora_and_the_length_are_enough(tiny_config: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.yaml"
    bare.write_text(BARE.format(folder=tiny_config.parent), encoding="utf-8")
    run = tmp_path / "run"
    quick = ["model.encoder_size=32", "model.decoder_size=32", "model.embedding_size=16"]
    quick += ["run.threads=1", "run.precision=fp32"]
    assert main([str(bare), "--output", str(run), *quick]) == 0
    checkpoint = load_checkpoint(run)
    assert checkpoint.card.startswith("# Translation\n")
    assert "- License of the data: none stated, private data\n" in checkpoint.card
    assert 260 < checkpoint.config.vocab_size < 8000  # 60 lines of six words
    assert len(Translator.load(run).translate(["ein Haus"])) == 1
    assert main([str(bare), "--output", str(run), "--resume", *quick, "run.max_steps=3"]) == 0
    assert (run / "checkpoints" / "step-000003").exists()
