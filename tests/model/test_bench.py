"""dragoman-bench: the sentences that it measures with, its table, its JSON, its messages."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.bench import main, random_requests
from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.decoding.precision.dtypes import PRECISIONS

QUICK = ["--device", "cpu", "--in-flight", "2,1", "--sentences", "3", "--repeats", "2"]


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Two lines, of which the second is too long for the model, and two that are blank."""
    file = tmp_path / "in.txt"
    file.write_text("der Hund läuft\n\n" + "die Frau schläft unter der Straße. " * 9 + "\n \n")
    return file


def test_random_sentences_are_the_same_ones_each_time(checkpoint: Checkpoint) -> None:
    requests = random_requests(checkpoint, checkpoint.search)
    assert requests == random_requests(checkpoint, checkpoint.search)
    assert {len(request.src) for request in requests} == set(range(8, 25))
    assert {id for request in requests for id in request.src} == set(range(4, 320))
    for request in requests:
        assert request.options.min_length == request.options.max_length_b == len(request.src)


def test_random_sentences_fit_the_model(checkpoint: Checkpoint) -> None:
    """Those of a model that was trained on shorter ones are cut no further than 16 pieces."""
    short = replace(checkpoint, config=replace(checkpoint.config, max_length=5))
    requests = random_requests(short, checkpoint.search)
    assert max(len(request.src) for request in requests) == 16


def test_figures_of_a_file(
    checkpoint: Checkpoint,
    text: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, file = str(checkpoint.path), tmp_path / "figures.json"
    flags = ["--precision", "fp32,fp32", "--beam-size", "3", "--json", str(file)]
    assert main([run, "--input", str(text), *QUICK, *flags]) == 0
    shown = capsys.readouterr()
    header, *rows = (line.split() for line in shown.out.split("\n\n")[0].splitlines())
    assert header[-6:] == ["p50", "ms", "p95", "ms", "p99", "ms"]
    assert [row[:3] for row in rows] == [["fp32", "1", "3"], ["fp32", "2", "6"]]
    figures: dict[str, Any] = json.loads(file.read_text())
    assert figures["conditions"]["digest"] == checkpoint.digest
    assert figures["conditions"]["beam_size"] == 3
    assert [line["in_flight"] for line in figures["speed"]] == [1, 2]
    assert [line["rows"] for line in figures["speed"]] == [3, 6]
    assert [line["sentences"] for line in figures["speed"]] == [3, 3]
    assert all(len(line["repeats_sentences_per_s"]) == 2 for line in figures["speed"])
    assert figures["cold_start"].keys() == {"fp32"}
    shown_rate = float(rows[0][3].replace(",", ""))
    assert shown_rate == pytest.approx(figures["speed"][0]["sentences_per_s"], abs=0.06)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--in-flight", "0"], "argument --in-flight: 0 is too small, use 1 or more."),
        (["--in-flight", "1;2"], "argument --in-flight: '1;2' is no list of numbers like 1,16."),
        (["--precision", "int3"], "argument --precision: 'int3' is not one of fp32,"),
        (["--beam-size", "65"], "beam_size: 65 is out of range."),
        (["--input", "missing.txt"], "missing.txt: no such file."),
        (["--input", "/dev/null"], "/dev/null: has no text. Give lines to translate."),
        (["--device", "gpu"], "device: 'gpu' is not known."),
    ],
)
def test_mistakes(
    checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert main([str(checkpoint.path), *flags]) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith(f"dragoman-bench: error: {message}")
    assert captured.out == ""


def test_the_command_itself_measures_every_precision(checkpoint: Checkpoint) -> None:
    flags = ["--device", "cpu", "--in-flight", "1", "--sentences", "2", "--repeats", "1"]
    command = [sys.executable, "-m", "model.bench", str(checkpoint.path), *flags, "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    assert figures["conditions"]["input"] == "random pieces"
    assert [line["precision"] for line in figures["speed"]] == list(PRECISIONS)
    assert list(figures["cold_start"]) == list(PRECISIONS)


def test_models_that_read_no_text_are_refused_before_anything_is_measured(
    vector_checkpoint: Path, symbol_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in (vector_checkpoint, symbol_checkpoint):
        assert main([str(run), "--device", "cpu"]) == 2
        assert "not text" in capsys.readouterr()[1]
