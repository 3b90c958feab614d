"""A training from vectors to pieces of text: it learns, resumes to the bit, and is measured."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sacrebleu
from numpy.typing import NDArray

from model.checkpoint.checkpoint import load_checkpoint
from model.inspect import main as inspect
from model.pack import main as pack
from model.text.tokenizer import Tokenizer
from model.transducer import Transducer
from model.translate import main as translate
from tests.training.vectors.resuming import check_resumed_to_the_bit
from training.config.train_config import load_config
from training.evaluate import main as evaluate
from training.tracking.metrics_log import read_metrics
from training.train import main as train

Floats = NDArray[np.float32]

CONFIG = """
data:
  data_dir: {folder}
  target_language: fr
  train: [{{source: train.npz, target: train.txt}}]
  dev: {{source: dev.npz, target: dev.txt}}
source: {{kind: vectors, width: 8}}
target: {{kind: pieces}}
tokenizer: {{vocab_size: 280}}
model: {{embedding_size: 16, encoder_layers: 1, encoder_size: 32, decoder_layers: 1,
  decoder_size: 32, dropout: 0.0, embedding_dropout: 0.0, max_length: 40}}
optimizer: {{learning_rate: 0.02, warmup_steps: 10, ema: 0.95}}
run: {{max_steps: 240, batch_tokens: 1500, eval_every: 120, log_every: 20, precision: fp32,
  device: cpu, threads: 1}}
"""
WORDS = ("thé", "thym", "bol", "bon", "on", "sel")
LETTERS = sorted({*"".join(WORDS), " "})
SOUNDS = np.random.default_rng(7).normal(50, 4, (len(LETTERS), 8))
"""How each of them sounds: a frame of 8 numbers."""
CPU = ["--device", "cpu"]


def said(line: str, generator: np.random.Generator) -> Floats:
    """Each letter is heard for one or two noisy frames."""
    letters = [LETTERS.index(letter) for letter in line]
    heard = np.repeat(letters, generator.integers(1, 3, len(letters)))
    noise = generator.normal(0, 1, (len(heard), 8))
    film: Floats = (SOUNDS[heard] + noise).astype(np.float32)
    return film


def spoken(count: int, seed: int) -> tuple[list[Floats], list[str]]:
    """Lines of one to four words, and how they sound."""
    generator = np.random.default_rng(seed)
    lines = [" ".join(generator.choice(WORDS, generator.integers(1, 5))) for _ in range(count)]
    return [said(line, generator) for line in lines], lines


def write(folder: Path, name: str, films: Sequence[Floats], lines: Sequence[str]) -> None:
    np.savez(folder / f"{name}.npz", *films)
    (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("said")
    write(folder, "train", *spoken(1000, seed=1))
    write(folder, "dev", *spoken(40, seed=2))
    path = folder / "config.yaml"
    path.write_text(CONFIG.format(folder=folder))
    return path


@pytest.fixture(scope="module")
def run(config: Path) -> Path:
    """A finished run."""
    output = config.parent / "run"
    assert train([str(config), "--output", str(output)]) == 0
    return output


def test_it_learns_what_is_said(run: Path) -> None:
    films, lines = spoken(60, seed=3)
    found = Transducer.load(run, device="cpu").transduce(films)
    right = sum(one.text == line for one, line in zip(found, lines, strict=True))
    assert right > 0.75 * len(lines)
    logged = [line for line in read_metrics(run / "metrics.jsonl") if "dev_loss" in line]
    scores = [float(str(line["dev_bleu"])) for line in logged]
    assert scores[1] > 80
    assert {"dev_chrf", "dev_ppl", "bleu_signature"} <= logged[0].keys()
    checkpoint = load_checkpoint(run)
    assert checkpoint.kinds == ("vectors", "pieces")
    assert checkpoint.calibration is not None
    assert checkpoint.profile.target_language == "fr"
    assert checkpoint.search.max_length_a == 1.0
    assert "# Vectors to pieces" in checkpoint.card
    assert load_config(run / "config.yaml").validation.tokenize == "13a"


def test_the_tokenizer_is_learned_from_the_targets(run: Path) -> None:
    tokenizer = load_checkpoint(run).vocabulary
    assert isinstance(tokenizer, Tokenizer)
    assert tokenizer.vocab_size == 280
    letters = set("".join(tokenizer.subwords()).replace("\u2581", " "))
    assert letters == set(LETTERS)


def test_each_word_attends_to_the_frames_that_say_it(run: Path) -> None:
    films, _ = spoken(60, seed=6)
    first, last = [], []
    for one in Transducer.load(run, device="cpu").transduce(films):
        (best,) = one.hypotheses
        assert len(best.pieces) == len(best.alignment)
        assert len(best.word_alignment) == len(one.text.split())
        if len(best.word_alignment) > 1:
            first.append(best.word_alignment[0])
            last.append(best.word_alignment[-1])
    assert sum(one < other for one, other in zip(first, last, strict=True)) > 0.9 * len(first) > 20


def test_a_resumed_run_is_the_whole_one_to_the_bit(config: Path) -> None:
    check_resumed_to_the_bit(config, steps=14, interrupted=10)


def test_a_tokenizer_that_is_named_is_taken(
    config: Path, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    (tmp_path / "tokenizer.model").write_bytes(tiny_tokenizer.model)
    keys = ["run.max_steps=1", "optimizer.warmup_steps=0", "tokenizer.vocab_size=auto"]
    keys.append(f"tokenizer.model={tmp_path / 'tokenizer.model'}")
    assert train([str(config), "--output", str(tmp_path / "run"), *keys]) == 0
    found = load_checkpoint(tmp_path / "run").vocabulary
    assert isinstance(found, Tokenizer) and found.model == tiny_tokenizer.model


def test_all_doors_say_the_same(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films, lines = spoken(20, seed=4)
    write(tmp_path, "test", films, lines)
    outputs = [one.text for one in Transducer.load(run, device="cpu").transduce(films)]
    file = tmp_path / "said.dragoman"
    assert pack([str(run), "--output", str(file)]) == 0
    source = str(tmp_path / "test.npz")
    for model in (run, file):
        capsys.readouterr()
        assert translate([str(model), source, *CPU]) == 0
        assert capsys.readouterr().out.splitlines() == outputs
    assert inspect([str(file)]) == 0
    shown = capsys.readouterr().out
    assert "transduce, vectors to pieces" in shown and "tokenizer   bpe, 280 pieces" in shown


def figures(capsys: pytest.CaptureFixture[str], *flags: object) -> dict[str, Any]:
    capsys.readouterr()
    assert evaluate([*map(str, flags), "--json", "-"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_evaluate_scores_it(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    films, lines = spoken(40, seed=4)
    lines[0] = "sel " * 4 + "thym"  # so that something is wrong
    write(tmp_path, "test", films, lines)
    files = [run, "--source", tmp_path / "test.npz", "--reference", tmp_path / "test.txt", *CPU]
    output = tmp_path / "out.txt"
    found = figures(capsys, *files, "--output", output, "--rouge")
    outputs = output.read_text(encoding="utf-8").splitlines()
    wanted = sacrebleu.corpus_bleu(outputs, [lines]).score
    assert found["bleu"]["value"] == pytest.approx(wanted)
    assert found["chrf"]["value"] == pytest.approx(sacrebleu.corpus_chrf(outputs, [lines]).score)
    assert {"length_ratio", "rouge_l"} <= found.keys()
    both = figures(capsys, *files, "--against", run, "--bootstrap", "20", "--show", "1")
    assert both["baseline"]["bleu"]["value"] == found["bleu"]["value"]
    told = figures(capsys, *files, "--calibrate")
    assert sum(told["calibration"]["sentences"]) == 40


def mistake(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert train(arguments) == 2
    (line,) = [line for line in capsys.readouterr()[1].splitlines() if "error: " in line]
    return line.partition("error: ")[2]


@pytest.mark.parametrize(
    ("films", "lines", "message"),
    [
        ([np.ones((3, 8))], [" "], "data.train: no text in any pair whose vectors are at most"),
        ([np.ones((41, 8))], ["on"], "data.train: no text in any pair whose vectors are at most"),
        ([np.ones((3, 8))], ["on"], "vocab_size: 280 is too large for this text. Use at most"),
        ([np.ones((3, 2))], ["on"], "train.npz, sequence 1: vectors of 2 numbers, but"),
    ],
)
def test_mistakes_in_the_data_are_a_line(
    films: list[Floats],
    lines: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tmp_path, "train", films, lines)
    write(tmp_path, "dev", *spoken(2, seed=2))
    (tmp_path / "config.yaml").write_text(CONFIG.format(folder=tmp_path))
    command = [str(tmp_path / "config.yaml"), "--output", str(tmp_path / "run")]
    assert message in mistake(command, capsys)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tokenizer.sampling=0.1", "tokenizer.sampling: it is not for vectors"),
        ("data.source_language=de", "data.source_language: it is not for vectors"),
        ("data.task=summarize", "data.task: it is not for vectors"),
        ("search.max_words=3", "search.max_words: 3 is for text, not for vectors"),
        ("validation.metrics=[bleu, mae]", "validation.metrics: mae is for vectors, but"),
        ("shortlist.candidates=10", "shortlist.candidates: it is not for vectors"),
        ("model.copy=true", "model.copy: only for pieces, not for vectors"),
    ],
)
def test_keys_that_mean_nothing_are_a_line(
    override: str, message: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(config), "--output", str(tmp_path / "run"), override]
    assert message in mistake(command, capsys)


def test_the_language_of_the_text_is_that_of_bleu(config: Path) -> None:
    given = load_config(config, ["data.target_language=zh"])
    assert given.validation.resolved("zh", []).bleu_tokenizer == "zh"
    assert given.validation.metrics == ("bleu", "chrf")
    assert given.search.max_length_a == 1.0
    assert given.shortlist.candidates == 0
