"""A training from lines to vectors, of symbols and of text: it learns, and every door has it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.checkpoint.checkpoint import load_checkpoint
from model.errors import CheckpointError, RequestError
from model.inspect import main as inspect
from model.pack import main as pack
from model.text.symbols import Symbols
from model.text.tokenizer import Tokenizer
from model.transducer import Transducer
from model.translate import main as translate
from model.vector_transducer import VectorTransducer
from tests.training.vectors.resuming import check_resumed_to_the_bit
from training.config.train_config import load_config
from training.evaluate import main as evaluate
from training.tracking.metrics_log import read_metrics
from training.train import main as train

Floats = NDArray[np.float32]

CONFIG = """
data:
  data_dir: {folder}
  train: [{{source: train.txt, target: train.npz}}]
  dev: {{source: dev.txt, target: dev.npz}}
source: {source}
target: {{kind: vectors, width: 2{target}}}
model: {{embedding_size: 16, encoder_layers: 1, encoder_size: 32, decoder_layers: 1,
  decoder_size: 32, dropout: 0.0, embedding_dropout: 0.0, max_length: 40}}
optimizer: {{learning_rate: 0.02, warmup_steps: 10, ema: 0.9}}
run: {{max_steps: {steps}, batch_tokens: 1500, eval_every: 100, log_every: 20, precision: fp32,
  device: cpu, threads: 1}}
"""
LETTERS = "abcdeé"
HEIGHT = np.array([[10, -1], [20, 0], [30, 1], [40, 2], [50, 3], [60, 4]], np.float32)
"""Two numbers for each letter."""
WORDS = ("abbé", "bead", "cab", "dé")
CPU = ["--device", "cpu"]


def contour(line: str) -> Floats:
    """Half of the numbers of a letter, and half of those of the next one."""
    own = HEIGHT[[LETTERS.index(letter) for letter in line]]
    following = np.concatenate([own[1:], own[-1:]])
    mean: Floats = (own + following) / 2
    return mean


def letters(count: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [
        "".join(generator.choice(list(LETTERS), generator.integers(1, 9))) for _ in range(count)
    ]


def means(line: str) -> Floats:
    """Three vectors: how many words there are, the first and the last one, by their numbers."""
    words = line.split()
    first, last = (WORDS.index(words[place]) for place in (0, -1))
    return np.array([[len(words), 0], [first, 1], [last, -1]], np.float32)


def texts(count: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, generator.integers(1, 4))) for _ in range(count)]


def write(folder: Path, name: str, lines: list[str], targets: list[Floats]) -> None:
    np.savez(folder / f"{name}.npz", *targets)
    (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Letters to a contour: `length: source`."""
    folder = tmp_path_factory.mktemp("letters")
    for name, count, seed in (("train", 800, 1), ("dev", 40, 2)):
        lines = letters(count, seed)
        write(folder, name, lines, list(map(contour, lines)))
    path, source = folder / "config.yaml", "{kind: symbols, unit: characters}"
    path.write_text(CONFIG.format(folder=folder, source=source, target="", steps=200))
    return path


@pytest.fixture(scope="module")
def run(config: Path) -> Path:
    """A finished run on letters."""
    output = config.parent / "run"
    assert train([str(config), "--output", str(output)]) == 0
    return output


@pytest.fixture(scope="module")
def text_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on text: three vectors for each line, by their differences."""
    folder = tmp_path_factory.mktemp("texts")
    for name, count, seed in (("train", 500, 1), ("dev", 40, 2)):
        lines = texts(count, seed)
        write(folder, name, lines, list(map(means, lines)))
    path, more = folder / "config.yaml", ", length: 3, differences: true, loss: mae"
    path.write_text(CONFIG.format(folder=folder, source="{kind: pieces}", target=more, steps=300))
    output = folder / "run"
    size = "tokenizer.vocab_size=272"
    assert train([str(path), "--output", str(output), size]) == 0
    return output


def test_letters_are_learned(run: Path) -> None:
    lines = letters(60, seed=3)
    found = VectorTransducer.load(run, device="cpu").transduce(lines)
    wanted = list(map(contour, lines))
    assert [one.shape for one in found] == [one.shape for one in wanted]
    apart = np.concatenate(found) - np.concatenate(wanted)
    usual = np.concatenate(wanted).std(axis=0)
    assert (np.abs(apart).mean(axis=0) < 0.15 * usual).all()
    logged = [line for line in read_metrics(run / "metrics.jsonl") if "dev_mae" in line]
    assert float(str(logged[-1]["dev_mae"])) < float(str(logged[0]["dev_mae"])) < 10
    checkpoint = load_checkpoint(run)
    assert checkpoint.kinds == ("symbols", "vectors")
    assert isinstance(checkpoint.reads, Symbols)
    assert checkpoint.reads.alphabet.symbols == tuple(sorted(LETTERS))
    assert "# Symbols to vectors" in checkpoint.card
    assert "- Source: characters\n- Target: vectors of 2 numbers, one for each" in checkpoint.card


def test_a_text_is_learned(text_run: Path) -> None:
    lines = texts(60, seed=3)
    found = VectorTransducer.load(text_run, device="cpu").transduce(lines)
    apart = np.array(found) - np.array(list(map(means, lines)))
    assert np.abs(apart).mean() < 0.35
    checkpoint = load_checkpoint(text_run)
    assert checkpoint.kinds == ("pieces", "vectors")
    assert isinstance(checkpoint.reads, Tokenizer) and checkpoint.reads.vocab_size == 272
    assert checkpoint.config.bidirectional and checkpoint.config.first_state == "bridge"


@torch.inference_mode()
def test_it_is_what_the_network_gives_fed_with_its_own_outputs(run: Path) -> None:
    checkpoint = load_checkpoint(run)
    network, reads = checkpoint.network, checkpoint.reads
    assert reads and network.target_statistics
    (found,) = VectorTransducer.load(run, device="cpu").transduce(["abécab"])
    ids = [*reads.source.encode("abécab"), 3]
    memory = network.encode(torch.tensor([ids]), torch.tensor([len(ids)]))
    given = torch.zeros(1, 1, 2)
    for _ in range(6):
        features, weights = network.unroll(given, network.start(memory), memory)
        outputs = network.log_scores(features, weights, memory)
        given = torch.cat([torch.zeros(1, 1, 2), outputs], dim=1)
    wanted = network.target_statistics.restored(outputs[0])
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-3)


def test_a_resumed_run_is_the_whole_one_to_the_bit(config: Path) -> None:
    check_resumed_to_the_bit(config, steps=14, interrupted=10)


@pytest.mark.parametrize("fixture", ["run", "text_run"])
def test_all_doors_say_the_same(
    fixture: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = request.getfixturevalue(fixture)
    lines = letters(10, seed=5) if fixture == "run" else texts(10, seed=5)
    targets = list(map(contour if fixture == "run" else means, lines))
    write(tmp_path, "test", lines, targets)
    found = VectorTransducer.load(path, device="cpu").transduce(lines)
    file = tmp_path / "x.dragoman"
    assert pack([str(path), "--output", str(file)]) == 0
    for model in (path, file):
        capsys.readouterr()
        assert translate([str(model), str(tmp_path / "test.txt"), *CPU]) == 0
        told = [np.array(json.loads(line)) for line in capsys.readouterr().out.splitlines()]
        for one, other in zip(told, found, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7)
    (tmp_path / "test.jsonl").write_text("".join(json.dumps({"said": x}) + "\n" for x in lines))
    output = tmp_path / "out.npz"
    flags = ["--field", "said", "--output", str(output), *CPU]
    assert translate([str(path), str(tmp_path / "test.jsonl"), *flags]) == 0
    with np.load(output) as arrays:
        np.testing.assert_array_equal(arrays["arr_3"], found[3])
    files = ["--source", tmp_path / "test.txt", "--reference", tmp_path / "test.npz", *CPU]
    capsys.readouterr()
    assert evaluate([*map(str, [path, *files]), "--json", "-"]) == 0
    scores = json.loads(capsys.readouterr().out)
    apart = np.concatenate(found) - np.concatenate(targets)
    assert scores["mae"]["value"] == pytest.approx(np.abs(apart).mean())
    assert inspect([str(file)]) == 0
    shown = capsys.readouterr().out
    kind, known = ("symbols", "characters to vectors, 6 symbols: a b c d e é")
    if fixture == "text_run":
        kind, known = "pieces", "tokenizer   bpe, 272 pieces"
    assert f"transduce, {kind} to vectors" in shown and known in shown
    assert "vectors     of an output: " in shown


def test_a_line_that_cannot_be_read_is_named(
    run: Path, text_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transducer = VectorTransducer.load(run, device="cpu")
    with pytest.raises(RequestError, match=r"^lines\[1\]: symbol 2: 'x' is not among the 6"):
        transducer.transduce(["ab", "axb"])
    with pytest.raises(RequestError, match=r"^lines\[0\]: a blank line, of which nothing"):
        transducer.transduce([" "])
    with pytest.raises(RequestError, match=r"^lines: str was given, but it must be a list"):
        transducer.transduce("ab")
    with pytest.raises(RequestError, match=r"10,001 symbols, but the model reads at most 10,000"):
        transducer.transduce(["a" * 10_001])
    with pytest.raises(CheckpointError, match="reads text and writes vectors"):
        Transducer.load(text_run, device="cpu")
    (tmp_path / "lines.txt").write_text("ab\naxb\n")
    assert translate([str(run), str(tmp_path / "lines.txt"), *CPU]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "lines.txt, line 2: symbol 2: 'x' is not among the 6" in told
    assert translate([str(run), str(tmp_path / "lines.txt"), "--beam-size", "2", *CPU]) == 2
    assert "--beam-size: it is for text" in capsys.readouterr().err


def test_pairs_that_cannot_be_used_are_counted(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "train", ["ab", "", "a" * 41], [contour("ab"), contour("a"), contour("a" * 41)])
    write(tmp_path, "dev", ["ab", "ax"], [contour("ab"), contour("ab")])
    command = [str(config), "--check-data", f"data.data_dir={tmp_path}"]
    assert train(command) == 0
    told = capsys.readouterr()[0]
    assert "1 blank" in told and "1 longer than model.max_length" in told
    assert "2.0 source symbols and 2.0 target vectors a line" in told
    assert "dev: 2 lines, dropped 1 with unknown symbols" in told
    write(tmp_path, "dev", ["ab" * 21], [contour("ab" * 21)])
    capsys.readouterr()
    assert train(command) == 2
    assert "data.dev: 1 of 1 sources have more symbols than the model" in capsys.readouterr()[1]


def mistake(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert train(arguments) == 2
    (line,) = [line for line in capsys.readouterr()[1].splitlines() if "error: " in line]
    return line.partition("error: ")[2]


@pytest.mark.parametrize(
    ("line", "target", "message"),
    [
        ("abc", np.ones((2, 2)), "2 vectors, but by target.length it must have 3, as many as its"),
        ("abc", np.ones((3, 1)), "train.npz, sequence 1: vectors of 1 numbers, but target.width"),
        (" ", np.ones((1, 2)), "data.train: no symbols in any pair that is not blank"),
        ("a" * 41, np.ones((41, 2)), "data.train: no symbols in any pair that is not blank"),
        ("ab\nab", np.ones((2, 2)), "train.npz has 1 sequences, and"),
    ],
)
def test_mistakes_in_the_data_are_a_line(
    line: str,
    target: Floats,
    message: str,
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tmp_path, "train", [line], [target])
    write(tmp_path, "dev", ["ab"], [contour("ab")])
    command = [str(config), "--output", str(tmp_path / "run"), f"data.data_dir={tmp_path}"]
    assert message in mistake(command, capsys)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["tokenizer.vocab_size=300"], "tokenizer: it is not for vectors"),
        (["search.beam_size=2"], "search: it is not for vectors"),
        (["validation.metrics=[symbol_error_rate]"], "validation."),
        (["source={kind: pieces}"], "target.length: it must be a number with source.kind"),
        (["model.attention=aligned", "target.length=3"], "model.attention: aligned needs target."),
    ],
)
def test_keys_that_mean_nothing_are_a_line(
    overrides: list[str],
    message: str,
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, text = tmp_path / "config.yaml", config.read_text()
    if overrides == ["source={kind: pieces}"]:
        text, overrides = text.replace("{kind: symbols, unit: characters}", "{kind: pieces}"), []
    path.write_text(text)
    command = [str(path), "--output", str(tmp_path / "run"), *overrides]
    assert message in mistake(command, capsys)


def test_a_line_has_no_later_vector(config: Path) -> None:
    """So the encoder may read it in both directions, whatever the length of the output."""
    model = load_config(config).model
    assert (model.attention, model.bidirectional, model.input_feeding) == ("aligned", True, False)
