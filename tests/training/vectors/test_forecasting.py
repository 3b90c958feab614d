"""A forecast of windows that a training learns is better than the seasonal naive one; its flags."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.vector_transducer import VectorTransducer
from training.evaluate import main as evaluate
from training.train import main as train

SEASON, WINDOW, HORIZON = 12, 24, 12
ROWS, TEST = 900, 200

CONFIG = """
data:
  data_dir: {folder}
  train: [{{files: series.csv}}]
  dev: {{files: series.csv}}
  windows: {{columns: [clock, load], targets: [load], window: 24, horizon: 12, stride: 2,
    time: step, split: 800}}
source: {{kind: vectors, width: 2}}
target: {{kind: vectors, width: 1, length: 12, loss: mae}}
model: {{embedding_size: 8, encoder_layers: 1, encoder_size: 24, decoder_layers: 1,
  decoder_size: 24, dropout: 0.0, embedding_dropout: 0.0, max_length: 24}}
optimizer: {{learning_rate: 0.01, warmup_steps: 10}}
run: {{max_steps: 150, batch_tokens: 1600, eval_every: 75, log_every: 40, precision: fp32,
  device: cpu, threads: 1}}
"""


def series() -> NDArray[np.float64]:
    """A season of two sines, noise, and a level that wanders: no repetition is a good forecast."""
    generator = np.random.default_rng(1)
    step = np.arange(ROWS + TEST)
    season = 10 * np.sin(2 * np.pi * step / SEASON) + 5 * np.sin(4 * np.pi * step / SEASON + 1)
    level = 500 + generator.normal(0, 0.3, len(step)).cumsum()
    load: NDArray[np.float64] = level + season + generator.normal(0, 4, len(step))
    return load


def write(path: Path, rows: range) -> None:
    load = series()
    lines = [f"{row},{row % SEASON},{load[row]:.3f}" for row in rows]
    path.write_text("\n".join(["step,clock,load", *lines]) + "\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, beside series.csv and test.csv."""
    folder = tmp_path_factory.mktemp("series")
    write(folder / "series.csv", range(ROWS))
    write(folder / "test.csv", range(ROWS - WINDOW, ROWS + TEST))
    (folder / "config.yaml").write_text(CONFIG.format(folder=folder))
    assert train([str(folder / "config.yaml"), "--output", str(folder / "run")]) == 0
    return folder / "run"


def test_it_forecasts_better_than_the_seasonal_naive(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(run), "--windows", str(run.parent / "test.csv"), "--season", str(SEASON)]
    assert evaluate([*command, "--device", "cpu", "--json", "-"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["mase"]["value"] < 0.9 * figures["seasonal_naive_mase"]["value"]
    # Both by their definition, window by window.
    load = series()
    begins = range(ROWS - WINDOW, ROWS + TEST - WINDOW - HORIZON + 1, 2)
    assert figures["sequences"] == len(begins)
    parts = [np.split(load[begin : begin + WINDOW + HORIZON], [WINDOW]) for begin in begins]
    clocks = [np.arange(begin, begin + WINDOW) % SEASON for begin in begins]
    outputs = VectorTransducer.load(run, device="cpu").transduce(
        [np.stack([clock, known], axis=1) for clock, (known, _) in zip(clocks, parts, strict=True)]
    )
    ours, naive, absolute = [], [], []
    for found, (known, wanted) in zip(outputs, parts, strict=True):
        scale = sum(abs(known[t] - known[t - SEASON]) for t in range(SEASON, WINDOW)) / 12
        absolute.append(abs(found[:, 0] - wanted).mean())
        ours.append(absolute[-1] / scale)
        naive.append(abs(known[-SEASON:] - wanted).mean() / scale)
    assert figures["mase"]["value"] == pytest.approx(np.mean(ours), rel=1e-3)
    assert figures["seasonal_naive_mase"]["value"] == pytest.approx(np.mean(naive), rel=1e-3)
    assert figures["mae"]["value"] == pytest.approx(np.mean(absolute), rel=1e-3)
    assert figures["season"] == SEASON


def test_without_a_season_there_is_no_mase(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [str(run), "--windows", str(run.parent / "test.csv"), "--device", "cpu"]
    assert evaluate([*command, "--bootstrap", "0"]) == 0
    shown = capsys.readouterr().out
    assert "mean absolute error" in shown
    assert "MASE" not in shown
    assert evaluate([*command, "--bootstrap", "20", "--season", "12"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[4:6]] == ["MASE", "MASE of the seasonal naive"]
    assert lines[-1] == "MASE: mean of |y - y*| / mean of |y_t - y_(t-12)| in the window"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--windows", "T", "--season", "24"], "--season 24: the windows have 24 steps"),
        (["--season", "12", "--source", "x.npz", "--reference", "x.npz"], "--season: of which ser"),
        (["--windows", "T", "--source", "x.npz"], "--windows: has both what is read and what"),
        (["--windows", "absent.csv"], "absent.csv: no such file"),
        (["--source", "x.npz"], "is scored on one --source and one --reference. Give both, or"),
    ],
)
def test_mistakes_are_a_line(
    flags: list[str], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = str(run.parent / "test.csv")
    assert evaluate([str(run), *(table if flag == "T" else flag for flag in flags)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_text_and_other_vectors_have_no_windows(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = str(run.parent / "test.csv")
    files = ["--hypotheses", table, "--reference", table]
    assert evaluate([*files, "--season", "12"]) == 2
    assert "--season: is for a model of vectors that was trained on" in capsys.readouterr().err
    copied = tmp_path / "copied"  # a checkpoint without its run does not know how to cut
    copied.mkdir()
    for file in (run / "best").resolve().iterdir():
        if file.is_file():
            (copied / file.name).write_bytes(file.read_bytes())
    assert evaluate([str(copied), "--windows", table]) == 2
    assert "does not tell how windows are cut" in capsys.readouterr().err
