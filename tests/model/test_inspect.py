"""dragoman-inspect: parameters counted by hand, files as they lie on the disk."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import model.inspect
from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.checkpoint.manifest import FORMAT
from model.cli.footprint import footprint
from model.config import ModelConfig
from model.decoding.precision.dtypes import PRECISIONS
from model.inspect import main, parameters_by_part, tokenizer_kind
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import Tokenizer
from model.translator import Translator
from training.data.learn_tokenizer import learn_tokenizer


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


def test_parameters_of_a_tied_lstm() -> None:
    config = ModelConfig(
        vocab_size=100, embedding_size=6, encoder_size=8, decoder_size=10, input_feeding=False
    )
    # A layer of D units on I inputs has 4 gates, each with D x I and D x D weights and two biases.
    encoder_1 = 2 * (4 * 4 * (6 + 4) + 2 * 4 * 4)  # two directions of 4 units
    encoder_2 = 2 * (4 * 4 * (8 + 4) + 2 * 4 * 4)
    decoder_1 = 4 * 10 * (6 + 10) + 2 * 4 * 10
    decoder_2 = 4 * 10 * (10 + 8 + 10) + 2 * 4 * 10  # below it: layer 1 and the context
    bridge = 8 * 40 + 40  # to hidden and cell of two layers
    combine = (10 + 8) * 6 + 6  # to the width of the embeddings, which are the output matrix
    assert parameters_by_part(Seq2Seq(config)) == {
        "embeddings": 100 * 6,
        "encoder": encoder_1 + encoder_2,
        "attention": 8 * 10,  # the projection of the keys
        "decoder": decoder_1 + decoder_2 + bridge + combine,
        "output": 100,  # its bias
    }


def test_parameters_of_an_untied_gru_with_input_feeding() -> None:
    config = ModelConfig(
        vocab_size=50,
        embedding_size=6,
        encoder_layers=1,
        encoder_size=8,
        decoder_layers=1,
        decoder_size=10,
        cell="gru",
        attention="additive",
        input_feeding=True,
        tie_embeddings=False,
    )
    assert parameters_by_part(Seq2Seq(config)) == {
        "embeddings": 2 * 50 * 6,
        "encoder": 2 * (3 * 4 * (6 + 4) + 2 * 3 * 4),
        "attention": 8 * 10 + (10 * 10 + 10) + 10,  # keys, query with bias, energy
        "decoder": (3 * 10 * (6 + 10 + 10) + 2 * 3 * 10) + (8 * 20 + 20) + ((10 + 8) * 10 + 10),
        "output": 50 * 10 + 50,
    }


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_kind_of_the_tokenizer(kind: Any) -> None:
    lines = ["der Hund läuft unter der Straße", "die Frau sieht den Mann und das Haus"] * 20
    assert tokenizer_kind(Tokenizer(learn_tokenizer(lines, kind=kind, vocab_size=287))) == kind


def test_figures(checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(checkpoint.path), "--json", "-"]) == 0
    figures: dict[str, Any] = json.loads(capsys.readouterr().out)
    on_disk = {
        str(path.relative_to(checkpoint.path)): path.stat().st_size
        for path in checkpoint.path.rglob("*")
        if path.is_file()
    }
    assert figures["file_bytes"] == on_disk
    assert figures["checkpoint"] == str(checkpoint.path)
    assert figures["digest"] == checkpoint.digest
    assert (figures["format"], figures["step"]) == (FORMAT, 1)
    assert figures["card"] == "Random weights."
    assert figures["tokenizer"] == {"kind": "bpe", "pieces": 320}
    assert figures["config"]["max_length"] == 24
    assert figures["search"]["beam_size"] == 2
    assert figures["memory"].keys() == set(PRECISIONS)
    assert figures["memory"]["fp32"] == asdict(footprint(checkpoint, "fp32"))
    weights = sum(value.numel() for value in checkpoint.network.parameters())
    assert sum(figures["parameters"].values()) == weights


def test_the_command_itself(checkpoint: Checkpoint, tiny_checkpoint: Path) -> None:
    command = [sys.executable, "-m", "model.inspect", str(tiny_checkpoint)]
    shown = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    rows = [line.split() for line in shown.splitlines()]
    assert ["digest", checkpoint.digest] in rows
    assert "max length  24 pieces of a sentence\n" in shown
    assert ["embeddings", "2,560"] in rows
    weights = sum(value.numel() for value in checkpoint.network.parameters())
    assert ["together", f"{weights:,}"] in rows
    assert ["beam_size", "2"] in rows
    assert shown.endswith("Random weights.\n")


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("dragoman-inspect: error: ")
    assert captured.out == ""


def test_a_checkpoint_without_its_training_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who only translates may delete it."""
    directory = tmp_path / "step-000003"
    shutil.copytree(Path(__file__).parents[1] / "data" / "checkpoint_v1", directory)
    before = file_sizes(directory, capsys)
    shutil.rmtree(directory / "training_state")
    after = file_sizes(directory, capsys)
    assert before.keys() - after.keys() == {
        "training_state/state.safetensors",
        "training_state/state.json",
    }
    assert after == {name: size for name, size in before.items() if name in after}


def file_sizes(directory: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    assert main([str(directory), "--json", "-"]) == 0
    found: dict[str, int] = json.loads(capsys.readouterr().out)["file_bytes"]
    return found


def test_a_checkpoint_that_a_training_deletes_meanwhile(
    checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy = tmp_path / "step-000001"
    shutil.copytree(checkpoint.path, copy)

    def load_and_lose(path: Path) -> Checkpoint:
        loaded = load_checkpoint(path)
        shutil.rmtree(copy)
        return loaded

    monkeypatch.setattr(model.inspect, "load_checkpoint", load_and_lose)
    assert main([str(copy)]) == 2
    assert "cannot be read any more" in capsys.readouterr().err


def test_a_trace(tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, numbers = tmp_path / "trace.svg", tmp_path / "trace.json"
    flags = ["--trace", "der Hund läuft.", "--picture", str(picture), "--json", str(numbers)]
    assert main([str(tiny_checkpoint), *flags]) == 0
    shown = capsys.readouterr().out
    expected = Translator.load(tiny_checkpoint, device="cpu", precision="fp32").trace(
        "der Hund läuft."
    )
    assert shown.splitlines()[0].endswith(" </s>")
    assert shown.count("encoder, layer 2, backward: all 4 units") == 1
    assert shown.count("decoder, layer 2, forward: all 8 units") == 1
    written = json.loads(numbers.read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(expected.to_json()))
    assert picture.read_bytes().startswith(b"<?xml")


def test_only_json(tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tiny_checkpoint), "--trace", "rot", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["source_pieces"][-1] == "</s>"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--picture", "a.png"], "--picture: it shows a trace. Add --trace TEXT."),
        (["--trace", "rot", "--picture", "a.jpg"], "a.jpg: a picture is written as PNG or SVG."),
        (["--trace", ""], "--trace: there are no words in it. Give a sentence."),
        (["--trace", "Ein Hund. Eine Frau."], "--trace: it is read in 2 parts, but only one can"),
        (
            ["--trace", "rot", "--picture", "a.png", "--json", "a.png"],
            "--picture a.png: the same file as --json a.png.",
        ),
    ],
)
def test_mistakes_with_a_trace(
    tiny_checkpoint: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tiny_checkpoint), *flags]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"dragoman-inspect: error: {message}"), captured.err
    assert captured.out == ""
