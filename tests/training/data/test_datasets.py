"""Corpora that the library datasets loads: folders on this machine, and no word to the network."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from model.text.tokenizer import Tokenizer
from training.config.train_config import load_config
from training.data.training_set import load_training_set
from training.train import main

pytest.importorskip("datasets", reason="an optional library")

PAIRS = [("ein Haus", "one house"), ("zwei Hut", "two hat"), ("rot", "red")]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test fails if anything looks up a host or connects to one."""
    calls: list[object] = []

    def refuse(*arguments: object, **named: object) -> None:
        calls.append(arguments)
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield
    assert calls == []


@pytest.fixture
def folder(tiny_config: Path) -> Path:
    """PAIRS as the dataset `set`, beside the config, with the weights 1, 2, 3."""
    path = tiny_config.parent / "set"
    path.mkdir()
    write(path, PAIRS)
    return path


def write(folder: Path, pairs: list[tuple[str, str]]) -> None:
    rows = [{"de": s, "en": t, "w": float(n)} for n, (s, t) in enumerate(pairs, 1)]
    (folder / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def corpus(more: str = "", columns: str = "source_column: de, target_column: en") -> str:
    return f"data.train=[{{dataset: set, {columns}{more}}}]"


def read(config: Path, tokenizer: Tokenizer, *overrides: str) -> dict[tuple[str, str], float]:
    """The pairs of the first corpus and their weights."""
    data = load_training_set(load_config(config, overrides).data, tokenizer, max_length=50)
    found = data.corpora[0].cached.read(0, len(data.corpora[0].cached))
    sides = [[tokenizer.decode(ids.tolist()) for ids in side.split()] for side in found[:2]]
    return dict(zip(zip(*sides, strict=True), found.weights.tolist(), strict=True))


def test_the_rows_of_a_folder_are_pairs_with_weights(
    tiny_config: Path, tiny_tokenizer: Tokenizer, folder: Path
) -> None:
    plain = read(tiny_config, tiny_tokenizer, corpus())
    assert plain == dict.fromkeys(PAIRS, 1)
    weighted = read(tiny_config, tiny_tokenizer, corpus(", weight_column: w"))
    assert weighted == dict(zip(PAIRS, [1, 2, 3], strict=True))


def test_nested_columns_of_another_split_in_parquet(
    tiny_config: Path, tiny_tokenizer: Tokenizer, folder: Path
) -> None:
    (folder / "train.jsonl").unlink()
    for split, pairs in (("train", PAIRS[:1]), ("test", PAIRS)):
        column = [{"de": source, "en": target} for source, target in pairs]
        table = pyarrow.table({"translation": column})
        pyarrow.parquet.write_table(table, folder / f"{split}-00000-of-00001.parquet")
    columns = "source_column: translation.de, target_column: translation.en"
    assert list(read(tiny_config, tiny_tokenizer, corpus(", split: test", columns))) == PAIRS


def test_a_changed_file_is_noticed(
    tiny_config: Path, tiny_tokenizer: Tokenizer, folder: Path
) -> None:
    cache = tiny_config.parent / "cache"

    def entries() -> int:
        return sum(path.is_dir() for path in cache.iterdir())

    for _ in range(2):
        assert list(read(tiny_config, tiny_tokenizer, corpus())) == PAIRS
        assert entries() == 1
    write(folder, PAIRS[::-1])
    assert list(read(tiny_config, tiny_tokenizer, corpus())) == PAIRS[::-1]
    assert entries() == 2


def test_it_trains_beside_another_corpus(
    tiny_config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "{source: train.de, target: train.en, weight: 2}"
    both = corpus().removesuffix("]") + f", {text}]"
    run = tiny_config.parent / "run"
    assert main([str(tiny_config), "--output", str(run), both, "run.max_steps=4"]) == 0
    shown = capsys.readouterr().err
    assert "train[0]: 3 lines, all kept" in shown and "train[1]: 60 lines" in shown
    write(folder, PAIRS[::-1])
    assert main([str(tiny_config), "--output", str(run), both, "--resume"]) == 2
    assert "not those that the run began with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (corpus(", split: validation"), "Should be one of ['train']"),
        (corpus(", dataset_config: other"), "'other' not found"),
        (corpus(columns="source_column: fr"), "no column 'fr', only de, en, w"),
        (corpus(", weight_column: x"), "no column 'x', only de, en, w"),
        (corpus(columns="source_column: w, target_column: en"), "holds double, not strings"),
        ("data.train=[{dataset: ./absent}]", "./absent: datasets cannot load"),
        ("data.train=[{dataset: bare}]", "doesn't contain any data files"),
        ("data.train=[{dataset: broken}]", "JSON parse error"),
    ],
)
def test_mistakes_are_one_line(
    tiny_config: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    override: str,
    message: str,
) -> None:
    for name in ("bare", "broken"):
        (folder.parent / name).mkdir()
    (folder.parent / "broken" / "train.jsonl").write_text('{"source": "ein"\n')
    assert main([str(tiny_config), "--check-data", override]) == 2
    said = capsys.readouterr().err.rstrip("\n").split("\n")[-1]
    assert said.startswith("dragoman-train: error: ")
    assert message in said
