"""A run on symbols from beginning to end: it learns, resumes, and is measured by error rates."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from model.checkpoint.checkpoint import load_checkpoint
from model.pack import main as pack
from model.score import main as score
from model.transducer import Transducer
from model.translate import main as translate
from training.average import main as average
from training.evaluate import main as evaluate
from training.tracking.metrics_log import read_metrics
from training.train import main as train

CONFIG = """
source: {{kind: symbols, unit: characters, ignore_spaces: true}}
target: {{kind: symbols, unit: spaced}}
data:
  data_dir: {folder}
  cache_dir: {folder}/cache
  train: [{{source: train.s, target: train.t}}]
  dev: {{source: dev.s, target: dev.t}}
model:
  embedding_size: 16
  encoder_layers: 1
  encoder_size: 32
  decoder_layers: 1
  decoder_size: 32
  input_feeding: false
  dropout: 0
  embedding_dropout: 0
  max_length: 12
optimizer: {{learning_rate: 0.03, ema: 0.95}}
run: {{max_steps: 400, batch_tokens: 500, eval_every: 200, threads: 1, precision: fp32, keep: 2}}
"""
CPU = ["--device", "cpu", "--precision", "fp32"]


def sounds(word: str) -> str:
    """Each letter is a phone, with stress after a vowel."""
    before = ["", *word]
    return " ".join(
        letter.upper() + str(int(before[place] in ("a", "e"))) for place, letter in enumerate(word)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of words and their sounds, its config, and a run that has learned it."""
    folder = tmp_path_factory.mktemp("sounds")
    rng = random.Random(1)
    for name, count in (("train", 1500), ("dev", 40)):
        words = ["".join(rng.choices("abcdefgh", k=rng.randint(1, 6))) for _ in range(count)]
        lines = [*map(" ".join, words[: count // 2]), *words[count // 2 :]]
        (folder / f"{name}.s").write_text("\n".join(lines) + "\n")
        (folder / f"{name}.t").write_text("\n".join(map(sounds, words)) + "\n")
    (folder / "g2p.yaml").write_text(CONFIG.format(folder=folder))
    assert train([str(folder / "g2p.yaml"), "--output", str(folder / "run")]) == 0
    return folder


def test_it_learns_what_it_is_shown(folder: Path) -> None:
    transducer = Transducer.load(folder / "run", device="cpu", precision="fp32")
    words = ["abc", "h e a d", "fgfh", "eaea"]
    assert [one.text for one in transducer.transduce(words)] == [
        sounds(word.replace(" ", "")) for word in words
    ]
    lines = [line for line in read_metrics(folder / "run" / "metrics.jsonl") if "dev_loss" in line]
    rates = {line["step"]: float(str(line["dev_symbol_error_rate"])) for line in lines}
    assert rates[400] < min(rates[200], 5)
    assert load_checkpoint(folder / "run" / "best").step == 400  # the lowest, not the highest
    card = load_checkpoint(folder / "run").card
    assert "- Source: characters" in card and "symbol error rate" in card
    assert "Translation" not in card


def test_a_resumed_run_has_the_bits_of_one_that_was_not_stopped(
    folder: Path, tmp_path: Path
) -> None:
    config, whole, parts = (
        str(path) for path in (folder / "g2p.yaml", tmp_path / "a", tmp_path / "b")
    )
    short = ["run.eval_every=6", "run.log_every=3", "optimizer.warmup_steps=3"]
    short.append("optimizer.schedule=inverse_sqrt")
    assert train([config, "--output", whole, *short, "run.max_steps=12"]) == 0
    assert train([config, "--output", parts, *short, "run.max_steps=6"]) == 0
    assert train([config, "--output", parts, *short, "run.max_steps=12", "--resume"]) == 0
    states = [
        load_file(Path(run) / "last/training_state/state.safetensors") for run in (whole, parts)
    ]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_resumed_run_keeps_its_units(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--output", str(folder / "run"), "--resume", "run.max_steps=500"]
    assert train([str(folder / "g2p.yaml"), *flags, "source.ignore_spaces=false"]) == 2
    assert "source.ignore_spaces was True and is False" in capsys.readouterr().err


def test_a_pack_and_an_average_transduce(folder: Path, tmp_path: Path) -> None:
    assert average([str(folder / "run"), "--last", "2", "--output", str(tmp_path / "mean")]) == 0
    file = tmp_path / "g2p.dragoman"
    assert pack([str(tmp_path / "mean"), "--output", str(file)]) == 0
    for path in (tmp_path / "mean", file):
        (found,) = Transducer.load(path, device="cpu").transduce(["abc"])
        assert found.text == sounds("abc")


def test_check_data_and_dry_run_read_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train([str(folder / "g2p.yaml"), "--check-data"]) == 0
    assert "28 pieces" in capsys.readouterr().out
    assert train([str(folder / "g2p.yaml"), "--output", str(folder / "dry"), "--dry-run"]) == 0
    assert "passes over the data" in capsys.readouterr().out
    assert not (folder / "dry").exists()


def figures(capsys: pytest.CaptureFixture[str], *flags: object) -> dict[str, Any]:
    capsys.readouterr()
    assert evaluate([*map(str, flags), "--json", "-"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_evaluate_scores_against_the_best_of_what_is_accepted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, source = folder / "run", tmp_path / "test.s"
    source.write_text("abc\nfed\nh\n")
    (tmp_path / "test.t").write_text("A0 B0 C0\nF0 E0\nH0\n")  # should be A0 B1 C0, F0 E0 D1, H0
    (tmp_path / "all.tsv").write_text("h\tH0\nfed\tF0 E0 D0\nf e d\tX\nabc\tA0 B0 C0\n")
    files = [run, "--source", source, *CPU, "--bootstrap", "50"]
    out = tmp_path / "out.t"
    found = figures(capsys, *files, "--reference", tmp_path / "test.t", "--output", out)
    assert out.read_text() == "A0 B1 C0\nF0 E0 D1\nH0\n"
    assert found["symbol_error_rate"]["value"] == pytest.approx(100 * 2 / 6)
    assert found["sequence_error_rate"]["value"] == pytest.approx(100 * 2 / 3)
    assert found["symbol_error_rate"]["interval"] is not None
    found = figures(capsys, *files, "--alternatives", tmp_path / "all.tsv")
    assert found["symbol_error_rate"]["value"] == pytest.approx(100 * 2 / 7)
    stress = ["--ignore-pattern", "[0-9]"]
    found = figures(capsys, *files, "--alternatives", tmp_path / "all.tsv", *stress)
    assert found["symbol_error_rate"]["value"] == found["sequence_error_rate"]["value"] == 0
    alone = ["--hypotheses", out, "--unit", "spaced", "--reference", tmp_path / "test.t"]
    assert figures(capsys, *alone)["symbol_error_rate"]["value"] == pytest.approx(100 * 2 / 6)
    against = ["--reference", tmp_path / "test.t", "--against", tmp_path / "test.t"]
    found = figures(capsys, *files, *against)
    assert found["baseline"]["sequence_error_rate"]["value"] == 0
    assert 0 < found["sequence_error_rate"]["p_value"] <= 1
    assert evaluate(list(map(str, [*files, *against]))) == 0
    assert re.search(r"symbol error rate +33\.33 .* 0\.00 +\+33\.33", capsys.readouterr().out)


def test_evaluate_refuses_in_one_line(
    folder: Path, tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, text = folder / "run", tiny_checkpoint
    (tmp_path / "a").write_text("abc\nxyz\n")
    one = tmp_path / "a"
    both = ["--source", one, "--reference", one]
    for flags, message in (
        ([run, *both], "a, line 2: symbol 1: 'x' is not among the 8"),
        ([run, *both, "--rouge"], "--rouge: is for text, but this is symbols"),
        ([run, *both, "--calibrate"], "--calibrate: is for"),
        ([run, *both, "--tokenize", "char"], "--tokenize: is for text"),
        ([run, *both, "--unit", "spaced"], "--unit: a model tells"),
        ([run, *both, "--against", text], "--against: one of the two models has symbols"),
        ([run, "--source", one], "--reference: missing."),
        ([run, *both, "--ignore-pattern", "("], "--ignore-pattern: '(' is no regular expression"),
        ([run, "--source", one, "--alternatives", one], "a, line 1: abc is no source with a tab"),
        ([text, *both, "--ignore-pattern", "x"], "--ignore-pattern: is for symbols"),
        ([text, "--source", one], "--reference: missing."),
        (
            ["--hypotheses", one, "--unit", "spaced", "--reference", one, "--alternatives", one],
            "--alternatives: of which sources? Give --source.",
        ),
    ):
        capsys.readouterr()
        assert evaluate(list(map(str, flags))) == 2, flags
        assert message in capsys.readouterr().err.splitlines()[-1]


def test_commands_for_text_refuse_a_model_of_symbols(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").write_text("abc\n")
    files = ["--source", str(tmp_path / "a"), "--target", str(tmp_path / "a")]
    assert score([str(folder / "run"), *files]) == 2
    assert "symbols, not text. Use Transducer.load" in capsys.readouterr().err
    flags = ["--input", str(tmp_path / "a"), "--output", str(tmp_path / "o"), "--shard", "1/1"]
    assert translate([str(folder / "run"), *flags, *CPU]) == 0
    assert (tmp_path / "o").read_text() == sounds("abc") + "\n"
