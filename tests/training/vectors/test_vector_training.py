"""A training on vectors: it learns, resumes to the bit, and names what is wrong with its data."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.checkpoint.checkpoint import load_checkpoint
from model.errors import ConfigError
from model.vector_transducer import VectorTransducer
from tests.training.vectors.resuming import check_resumed_to_the_bit
from training.evaluate import main as evaluate
from training.train import main
from training.validation.average_comparison import compare_with_best

Floats = NDArray[np.float32]

CONFIG = """
data:
  data_dir: {folder}
  train: [{{source: train.x.npz, target: train.y.npz}}]
  dev: {{source: dev.x.npz, target: dev.y.npz}}
source: {{kind: vectors, width: 2}}
target: {{kind: vectors, width: 1, differences: {differences}}}
model: {{embedding_size: 8, encoder_layers: 1, encoder_size: 16, decoder_layers: 1, decoder_size: 8,
  dropout: 0.0, embedding_dropout: 0.0, max_length: 20}}
optimizer: {{learning_rate: 0.02, warmup_steps: 5, weight_decay: 0.0}}
run: {{max_steps: 300, batch_tokens: 600, eval_every: 150, log_every: 20, precision: fp32,
  device: cpu, threads: 1}}
"""


def pairs(count: int, seed: int) -> tuple[list[Floats], list[Floats]]:
    """Two numbers a step around 50, and the sum so far of how far the first is above the second."""
    generator = np.random.default_rng(seed)
    sources = [
        generator.normal(50, 3, (int(length), 2)).astype(np.float32)
        for length in generator.integers(1, 20, count)
    ]
    return sources, [(x[:, :1] - x[:, 1:]).cumsum(axis=0) for x in sources]


def write(folder: Path, name: str, sources: list[Floats], targets: list[Floats]) -> None:
    np.savez(folder / f"{name}.x.npz", *sources)
    np.savez(folder / f"{name}.y.npz", *targets)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sums")
    write(folder, "train", *pairs(200, seed=1))
    write(folder, "dev", *pairs(20, seed=2))
    path = folder / "config.yaml"
    path.write_text(CONFIG.format(folder=folder, differences="true"))
    return path


@pytest.fixture(scope="module")
def run(config: Path) -> Path:
    """A finished run."""
    output = config.parent / "run"
    assert main([str(config), "--output", str(output)]) == 0
    return output


def test_it_learns_sums_also_of_longer_sequences(run: Path) -> None:
    x = np.random.default_rng(3).normal(50, 3, (200, 2))
    (output,) = VectorTransducer.load(run, device="cpu").transduce([x])
    expected = (x[:, 0] - x[:, 1]).cumsum()
    # A step is off by a twentieth of what it is at most, and errors do not add up.
    step = np.diff(output[:, 0], prepend=0) - (x[:, 0] - x[:, 1])
    assert np.abs(step).mean() < 0.25
    assert np.corrcoef(output[:, 0], expected)[0, 1] > 0.99


def test_the_log_has_the_errors(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    values = [line["dev_mae"] for line in lines if "dev_mae" in line]
    assert len(values) == 2
    assert values[1] < values[0]
    assert not any("dev_ppl" in line for line in lines)


def test_statistics_are_those_of_the_training_data(config: Path, run: Path) -> None:
    sources, targets = pairs(200, seed=1)
    network = load_checkpoint(run).network
    assert network.source_statistics and network.target_statistics
    for statistics, rows in (
        (network.source_statistics, np.concatenate(sources)),
        (
            network.target_statistics,
            np.concatenate([np.diff(y, axis=0, prepend=0) for y in targets]),
        ),
    ):
        np.testing.assert_allclose(statistics.mean.numpy(), rows.mean(axis=0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(statistics.std.numpy(), rows.std(axis=0), rtol=1e-4)


def test_a_resumed_run_is_the_whole_one_to_the_bit(config: Path) -> None:
    check_resumed_to_the_bit(config, steps=21, interrupted=10)


def test_other_data_are_refused_on_resume(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "train", *pairs(30, seed=1))
    write(tmp_path, "dev", *pairs(3, seed=2))
    command = [str(config), "--output", str(tmp_path / "run"), f"data.data_dir={tmp_path}"]
    assert main([*command, "run.max_steps=2", "optimizer.warmup_steps=1"]) == 0
    write(tmp_path, "train", *pairs(30, seed=5))
    again = [*command, "run.max_steps=4", "optimizer.warmup_steps=1", "--resume"]
    assert "--resume: the training files are not those" in mistake(again, capsys)


def test_evaluate_scores_it(config: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = config.parent
    command = [str(run), "--source", str(folder / "dev.x.npz"), "--device", "cpu"]
    assert evaluate([*command, "--reference", str(folder / "dev.y.npz"), "--json", "-"]) == 0
    figures = json.loads(capsys.readouterr()[0])
    sources, targets = pairs(20, seed=2)
    outputs = VectorTransducer.load(run, device="cpu").transduce(sources)
    apart = np.concatenate([one - other for one, other in zip(outputs, targets, strict=True)])
    assert figures["mae"]["value"] == pytest.approx(np.abs(apart).mean(), rel=1e-6)
    assert figures["rmse"]["value"] == pytest.approx(np.sqrt((apart**2).mean()), rel=1e-6)
    assert figures["sequences"] == 20


def test_evaluate_refuses_what_it_would_not_read(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(tmp_path / "none.npz", "w"):
        pass
    write(tmp_path, "few", *pairs(2, seed=2))
    for files, flags, message in (
        (("none.npz", "none.npz"), (), "none.npz: has no sequences. Give some to score."),
        (("few.x.npz", "few.y.npz"), ("--beam-size", "3"), "--beam-size: it is not for a model of"),
        (("few.x.npz", "few.y.npz"), ("--min-words", "0"), "--min-words: it is not for a model of"),
    ):
        source, reference = (str(tmp_path / name) for name in files)
        command = [str(run), "--source", source, "--reference", reference, *flags]
        assert evaluate(command) == 2
        assert message in capsys.readouterr()[1]


def test_a_mean_of_vectors_is_not_measured(run: Path) -> None:
    told = r"vectors are not measured here\. Use dragoman-evaluate\."
    with pytest.raises(ConfigError, match=told):
        compare_with_best(load_checkpoint(run), [run], torch.device("cpu"))


def mistake(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    lines = [line for line in capsys.readouterr()[1].splitlines() if "error: " in line]
    (line,) = lines
    return line.partition("error: ")[2]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (
            [[1, 2, 3]],
            [[1]],
            "x.npz, sequence 1: vectors of 3 numbers, but source.width is 2",
        ),
        (
            [[1, 2]],
            [[1, 2]],
            "y.npz, sequence 1: vectors of 2 numbers, but target.width is 1",
        ),
        ([[1, 2]], [[1], [2]], "train.y.npz, sequence 1: 2 vectors, but by target.length it must"),
        ([[1, np.inf]], [[1]], "train.x.npz, array arr_0: vector 1, column 2 is inf"),
        (np.zeros((0, 2)), [[1]], "train.x.npz, array arr_0: an empty sequence"),
        (
            np.ones((30, 2)),
            np.ones((30, 1)),
            "data: none of 1 pairs for train is left",
        ),
        ([[3e38, 2], [-3e38, 2]], [[1], [2]], "data.train: number 1 of the source vectors is"),
        ([[1e7, 2]], [[1]], "data.train: number 1 of the source vectors is 1e+07 +- 1, but"),
    ],
)
def test_mistakes_in_the_data_are_a_line(
    source: object, target: object, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "train", [np.array(source)], [np.array(target)])
    write(tmp_path, "dev", *pairs(2, seed=2))
    (tmp_path / "config.yaml").write_text(CONFIG.format(folder=tmp_path, differences="false"))
    command = [str(tmp_path / "config.yaml"), "--output", str(tmp_path / "run")]
    assert message in mistake(command, capsys)
    assert not (tmp_path / "run").exists() or not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("source.width=0", "source.width: missing, or below 1"),
        ("model.source_width=3", "model.source_width: it follows source.width. Set that one."),
        ("source.loss=mae", "source: loss, length and differences are for the target"),
        ("source.kind=pieces", "source.width: it is for vectors"),
        ("data.noise=0.1", "data.noise: it is not for vectors"),
        ("objective.rdrop=1.0", "objective: it is not for vectors"),
        ("search.beam_size=7", "search: it is not for vectors"),
        ("validation.metrics=[mae,bleu]", "validation.metrics: bleu is for pieces, but"),
        ("run.batch_tokens=auto", "run.batch_tokens: auto is not for vectors"),
        ("target.length=0", "target.length: 0 is too small. Use 1 or more, or source."),
        ("target.length=3", "model.attention: aligned needs target.length: source, not 3."),
    ],
)
def test_keys_that_mean_nothing_are_a_line(
    override: str, message: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aligned = ["model.attention=aligned"] if "length=3" in override else []
    assert message in mistake([str(config), "--output", str(tmp_path), override, *aligned], capsys)


def test_a_given_number_of_outputs(tmp_path: Path) -> None:
    """The last two vectors, in reverse, by a decoder that attends to the whole source."""
    sources, _ = pairs(60, seed=4)
    sources = [x for x in sources if len(x) > 1]
    write(tmp_path, "train", sources, [x[[-1, -2], :1] for x in sources])
    write(tmp_path, "dev", sources[:5], [x[[-1, -2], :1] for x in sources[:5]])
    text = CONFIG.format(folder=tmp_path, differences="false")
    path = tmp_path / "config.yaml"
    path.write_text(text.replace("width: 1,", "width: 1, length: 2, loss: mae,"))
    output = tmp_path / "run"
    command = [str(path), "--output", str(output), "run.max_steps=4", "optimizer.warmup_steps=1"]
    assert main(command) == 0
    found = VectorTransducer.load(output, device="cpu").transduce(sources[:3])
    assert [one.shape for one in found] == [(2, 1)] * 3
    assert load_checkpoint(output).config.attention == "general"


def test_check_data_and_dry_run_describe_it(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(config), "--check-data"]) == 0
    assert "train: 200 lines, all kept" in capsys.readouterr()[0]
    assert main([str(config), "--output", str(tmp_path / "run"), "--dry-run"]) == 0
    assert "200 lines, all kept" in capsys.readouterr()[0]
