"""A training from vectors to symbols: it learns, resumes to the bit, and is measured."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.checkpoint.checkpoint import load_checkpoint
from model.errors import ConfigError
from model.pack import main as pack
from model.transducer import Transducer
from tests.training.vectors.resuming import check_resumed_to_the_bit
from training.evaluate import main as evaluate
from training.tracking.metrics_log import read_metrics
from training.train import main as train
from training.validation.average_comparison import compare_with_best

Floats = NDArray[np.float32]

CONFIG = """
data:
  data_dir: {folder}
  train: [{{source: train.npz, target: train.phones}}]
  dev: {{source: dev.npz, target: dev.phones}}
source: {{kind: vectors, width: 8}}
target: {{kind: symbols, unit: spaced}}
model: {{embedding_size: 16, encoder_layers: 1, encoder_size: 32, decoder_layers: 1,
  decoder_size: 32, dropout: 0.0, embedding_dropout: 0.0, max_length: 40}}
optimizer: {{learning_rate: 0.02, warmup_steps: 10, ema: 0.95}}
run: {{max_steps: 240, batch_tokens: 1500, eval_every: 120, log_every: 20, precision: fp32,
  device: cpu, threads: 1}}
"""
PHONES = ("AA", "B", "D", "IY", "K", "M", "S", "UW")
SOUNDS = np.random.default_rng(7).normal(50, 4, (len(PHONES), 8))
"""How each of them sounds: a frame of 8 numbers."""
CPU = ["--device", "cpu"]


def spoken(count: int, seed: int) -> tuple[list[Floats], list[str]]:
    """Words of up to five phones, each of which is heard for two to four noisy frames."""
    generator = np.random.default_rng(seed)
    films, lines = [], []
    for _ in range(count):
        steps = generator.integers(1, len(PHONES), generator.integers(1, 6))
        phones = np.cumsum(steps) % len(PHONES)
        heard = np.repeat(phones, generator.integers(2, 5, len(phones)))
        noise = generator.normal(0, 1, (len(heard), 8))
        films.append((SOUNDS[heard] + noise).astype(np.float32))
        lines.append(" ".join(PHONES[phone] for phone in phones))
    return films, lines


def write(folder: Path, name: str, films: Sequence[Floats], lines: Sequence[str]) -> None:
    np.savez(folder / f"{name}.npz", *films)
    (folder / f"{name}.phones").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spoken")
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


def edits(one: list[str], other: list[str]) -> int:
    """Levenshtein's distance, by its definition."""
    if not one or not other:
        return len(one) + len(other)
    (a, *rest), (b, *others) = one, other
    if a == b:
        return edits(rest, others)
    return 1 + min(edits(rest, other), edits(one, others), edits(rest, others))


def test_it_learns_what_it_hears(run: Path) -> None:
    films, lines = spoken(60, seed=3)
    found = Transducer.load(run, device="cpu").transduce(films)
    wrong = sum(
        edits(one.text.split(), line.split()) for one, line in zip(found, lines, strict=True)
    )
    assert wrong < 0.05 * sum(len(line.split()) for line in lines)
    logged = [line for line in read_metrics(run / "metrics.jsonl") if "dev_loss" in line]
    rates = [float(str(line["dev_symbol_error_rate"])) for line in logged]
    assert rates[1] < min(rates[0] + 1, 5)
    assert "dev_ppl" in logged[0]
    checkpoint = load_checkpoint(run)
    assert checkpoint.symbols.alphabet.symbols == PHONES
    assert checkpoint.search.max_length_a == 1.0
    assert "# Vectors to symbols" in checkpoint.card
    assert "- Source: vectors of 8 numbers\n- Target: spaced\n" in checkpoint.card


def test_it_attends_to_the_frames_of_each_phone(run: Path) -> None:
    generator = np.random.default_rng(5)
    words = [generator.permutation(len(PHONES))[:4] for _ in range(40)]
    found = Transducer.load(run, device="cpu").transduce(
        [np.repeat(SOUNDS[word], 3, axis=0) for word in words]
    )
    links = [link for one in found for link in enumerate(one.hypotheses[0].alignment)]
    right = sum(frame // 3 == number for number, frame in links)
    assert right > 0.8 * len(links) > 100  # the neighbours know of it, too


def test_statistics_are_those_of_the_training_sources(run: Path) -> None:
    network = load_checkpoint(run).network
    assert network.source_statistics and not network.target_statistics
    rows = np.concatenate(spoken(1000, seed=1)[0])
    statistics = network.source_statistics
    np.testing.assert_allclose(statistics.mean.numpy(), rows.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(statistics.std.numpy(), rows.std(axis=0), rtol=1e-4)


def test_a_resumed_run_is_the_whole_one_to_the_bit(config: Path) -> None:
    check_resumed_to_the_bit(config, steps=21, interrupted=10)


def test_it_trains_in_bf16_and_in_parts(config: Path, tmp_path: Path) -> None:
    short = ["run.max_steps=3", "optimizer.warmup_steps=1", "run.accumulate=2"]
    output = tmp_path / "run"
    assert train([str(config), "--output", str(output), *short, "run.precision=bf16"]) == 0
    assert load_checkpoint(output).step == 3


def test_other_data_are_refused_on_resume(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films, lines = spoken(30, seed=1)
    write(tmp_path, "train", films, lines)
    write(tmp_path, "dev", *spoken(3, seed=2))
    command = [str(config), "--output", str(tmp_path / "run"), f"data.data_dir={tmp_path}"]
    command.append("optimizer.warmup_steps=1")
    assert train([*command, "run.max_steps=2"]) == 0
    write(tmp_path, "train", films, [*lines[:-1], "S S"])
    told = mistake([*command, "run.max_steps=4", "--resume"], capsys)
    assert "--resume: the training files are not those" in told


def test_a_pack_transduces_alike(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "spoken.dragoman"
    assert pack([str(run), "--output", str(file)]) == 0
    films, _ = spoken(5, seed=3)
    one, other = (Transducer.load(path, device="cpu").transduce(films) for path in (run, file))
    assert one == other


def test_files_with_columns(tmp_path: Path, config: Path) -> None:
    films, lines = spoken(30, seed=1)
    records = [
        json.dumps({"heard": film.tolist(), "said": line})
        for film, line in zip(films, lines, strict=True)
    ]
    (tmp_path / "all.jsonl").write_text("\n".join(records) + "\n")
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"heard": [film.tolist() for film in films], "said": lines})
    parquet.write_table(table, tmp_path / "all.parquet")
    text = config.read_text()
    start, stop = text.index("  train:"), text.index("source: {kind")
    for name in ("all.jsonl", "all.parquet"):
        one = f"{{files: {tmp_path / name}, source_column: heard, target_column: said}}"
        path, output = tmp_path / f"{name}.yaml", tmp_path / f"{name}.run"
        path.write_text(f"{text[:start]}  train: [{one}]\n  dev: {one}\n{text[stop:]}")
        short = ["run.max_steps=1", "optimizer.warmup_steps=0"]
        assert train([str(path), "--output", str(output), *short]) == 0
        assert load_checkpoint(output).symbols.alphabet.symbols == PHONES


def test_check_data_and_dry_run_describe_it(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train([str(config), "--check-data"]) == 0
    told = capsys.readouterr()[0]
    assert "train: 1,000 lines, all kept; " in told
    assert "source vectors and" in told and "target symbols a line" in told
    assert train([str(config), "--output", str(tmp_path / "run"), "--dry-run"]) == 0
    assert "1,000 lines, all kept" in capsys.readouterr()[0]


def figures(capsys: pytest.CaptureFixture[str], *flags: object) -> dict[str, Any]:
    capsys.readouterr()
    assert evaluate([*map(str, flags), "--json", "-"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_evaluate_scores_it(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    films, lines = spoken(20, seed=4)
    lines[0] = "S K S K S K S"  # so that something is wrong
    write(tmp_path, "test", films, lines)
    files = [run, "--source", tmp_path / "test.npz", "--reference", tmp_path / "test.phones", *CPU]
    output = tmp_path / "out.phones"
    found = figures(capsys, *files, "--output", output)
    outputs = output.read_text().splitlines()
    wrong = [edits(one.split(), line.split()) for one, line in zip(outputs, lines, strict=True)]
    count = sum(len(line.split()) for line in lines)
    assert found["symbol_error_rate"]["value"] == pytest.approx(100 * sum(wrong) / count)
    assert found["sequence_error_rate"]["value"] == pytest.approx(5 * sum(map(bool, wrong)))
    assert found["lines"] == 20
    against = figures(capsys, *files, "--against", tmp_path / "test.phones", "--bootstrap", "20")
    assert against["baseline"]["symbol_error_rate"]["value"] == 0
    both = figures(capsys, *files, "--against", run, "--bootstrap", "20")
    assert both["baseline"]["symbol_error_rate"]["value"] == found["symbol_error_rate"]["value"]


def test_evaluate_refuses_in_one_line(
    run: Path, symbol_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films, lines = spoken(3, seed=4)
    write(tmp_path, "test", films, lines)
    write(tmp_path, "few", films[:2], lines[:2])
    write(tmp_path, "narrow", [film[:, :2] for film in films], lines)
    source, reference = tmp_path / "test.npz", tmp_path / "test.phones"
    both = ["--source", source, "--reference", reference]
    for flags, message in (
        (["--source", tmp_path / "few.npz", "--reference", reference], "has 2 sequences, but"),
        (["--source", tmp_path / "narrow.npz", "--reference", reference], "vectors of 2 numbers"),
        ([*both, "--alternatives", reference], "--alternatives: it names sources by their text"),
        ([*both, "--against", symbol_checkpoint], "--against: one of the two models reads vectors"),
        ([*both, "--rouge"], "--rouge: is for text"),
        ([*both, "--max-words", "3"], "max_words: 3 is for text, not for symbols"),
    ):
        assert evaluate(list(map(str, [run, *flags, *CPU]))) == 2, flags
        assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_mean_of_them_is_not_measured(run: Path) -> None:
    told = r"vectors are not measured here\. Use dragoman-evaluate\."
    with pytest.raises(ConfigError, match=told):
        compare_with_best(load_checkpoint(run), [run], torch.device("cpu"))


def mistake(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert train(arguments) == 2
    lines = [line for line in capsys.readouterr()[1].splitlines() if "error: " in line]
    (line,) = lines
    return line.partition("error: ")[2]


@pytest.mark.parametrize(
    ("films", "lines", "message"),
    [
        ([np.ones((3, 2))], ["B"], "train.npz, sequence 1: vectors of 2 numbers, but source.width"),
        ([np.full((3, 8), np.nan)], ["B"], "train.npz, array arr_0: vector 1, column 1 is nan"),
        ([np.ones((3, 8))], ["B", "K"], "train.npz has 1 sequences, and"),
        ([np.ones((3, 8))], [" "], "data.train: no symbols in any pair that is not blank and has"),
        ([np.ones((41, 8))], ["B"], "data.train: no symbols in any pair that is not blank and has"),
        ([np.ones((3, 8))], ["B \x01"], "for train is left: 1 with unknown symbols. Give other"),
        ([np.ones((3, 8))], ["\x01"], "data.train: no symbols in any pair"),
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


def test_pairs_that_cannot_be_used_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films, lines = spoken(10, seed=1)
    train_films = [*films, np.ones((50, 8), np.float32), films[0], films[0]]
    write(tmp_path, "train", train_films, [*lines, "B", "", "B \x01"])
    write(tmp_path, "dev", [*films[:2], films[0]], [*lines[:2], "B ZZ"])
    (tmp_path / "config.yaml").write_text(CONFIG.format(folder=tmp_path))
    assert train([str(tmp_path / "config.yaml"), "--check-data"]) == 0
    told = capsys.readouterr()[0]
    assert "1 longer than model.max_length" in told
    assert "1 blank" in told and "dev: 3 lines, dropped 1 with unknown symbols" in told
    write(tmp_path, "dev", train_films[10:11], ["B"])
    told = mistake([str(tmp_path / "config.yaml"), "--check-data"], capsys)
    assert told.startswith("data.dev: 1 of 1 sources have more vectors than the model reads")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("target.width=3", "target.width: it is for vectors"),
        ("target.unit=null", "target.unit: missing. Use characters, or spaced"),
        ("source.length=3", "source: loss, length and differences are for the target"),
        ("data.windows={columns: [a], window: 2, horizon: 1}", "data.windows: they are vectors."),
        ("data.noise=0.1", "data.noise: it is for text, not for symbols"),
        ("data.filters.max_ratio=3", "data.filters: it is not for vectors"),
        ("objective.rdrop=1.0", "objective: it is not for vectors"),
        ("search.max_words=3", "search.max_words: 3 is for text, not for symbols"),
        (
            "validation.metrics=[symbol_error_rate, mae]",
            "validation.metrics: mae is for vectors, but",
        ),
        ("run.batch_tokens=auto", "run.batch_tokens: auto is not for vectors"),
        ("model.attention=aligned", "model.attention: aligned needs a target of vectors"),
        ("model.tie_embeddings=true", "model.tie_embeddings: vectors have no embeddings"),
    ],
)
def test_keys_that_mean_nothing_are_a_line(
    override: str, message: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(config), "--output", str(tmp_path / "run"), override]
    assert message in mistake(command, capsys)
