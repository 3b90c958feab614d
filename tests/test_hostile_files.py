"""Files made to break a command: each is told in one line, and none takes long.

The process is not needed: an exception that `main` lets through is a traceback.
"""

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

CPU = ["--device", "cpu", "--precision", "fp32"]

DEEP = 100_000
BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
)

CONFIGS = {
    "deep lists": "run: " + "[" * DEEP,
    "deep lists that end": "run: " + "[" * DEEP + "]" * DEEP,
    "deep lists on lines": "[\n" * 40_000,
    "deep mappings": "".join(" " * i + "run:\n" for i in range(400)),
    "deep block lists": "- " * 400 + "x",
    "deep mappings in braces": "{run: " * DEEP,
    "explicit keys": "? " * 400,
    "a bomb of aliases": BOMB,
    "an alias within itself": "run: &a [*a]",
    "an alias within its mapping": "run: &a {x: *a}",
    "an unknown alias": "run: *nowhere",
    "a key twice": "run: {max_steps: 1}\ndata: {}\nrun: {max_steps: 2}\n",
    "a key twice within": "run:\n  max_steps: 1\n  max_steps: 2\n",
    "a key twice, quoted": "run: {max_steps: 1, 'max_steps': 2}",
    "a key twice in a list": "models: [{name: a, path: a, name: b}]",
    "no date": "run: {max_steps: 2024-99-99}",
    "no character": 'run: {device: "\\UFFFFFFFF"}',
    "half a character": 'run: {device: "\\ud800"}',
    "no number": "run: {max_steps: !!int x}",
    "no time": "run: {max_steps: !!timestamp x}",
    "no truth": "run: {max_steps: !!bool x}",
    "no bytes": "run: {max_steps: !!binary äö}",
    "a long number": "run: {max_steps: " + "9" * 10_000 + "}",
    "a long number of base 60": "run: {max_steps: 1" + ":59" * 10_000 + "}",
    "a large float": "run: {max_steps: 1" + ":59" * 300 + ".5}",
    "an object": "run: !!python/object/apply:os.system [exit]",
    "an unhashable key": "{[a]: 1, {b: c}: 2}",
    "a merge of nothing": "run: {<<: 1}",
    "several documents": "a: 1\n---\nb: 2\n",
    "a list": "[1, 2]",
    "a word": "word",
    "nothing": "",
    "a directive": "%YAML 9.9\n---\nrun: {}",
    "a tab": "run:\n\tmax_steps: 1",
    "other keys": "{1: {}, null: {}, 2024-01-01: {}}",
    "a control character": "run: {device: \x07}",
}

BYTES = {
    "NUL": b"\0" * 1000,
    "random": bytes(range(256)) * 10,
    "UTF-16": "run: {}".encode("utf-16"),
    "UTF-32": "run: {}".encode("utf-32"),
    "half a character": b"run: \xc3",
    "gzip": b"\x1f\x8b\x08\x00",
}

HOSTILE = {name: text.encode() for name, text in CONFIGS.items()} | BYTES


@pytest.fixture
def here(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a run, and in it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_checkpoint, "run", symlinks=True)
    for name in ("a.txt", "b.txt"):
        Path(name).write_text("Hund\n")
    return tmp_path


Mistake = Callable[..., str]


@pytest.fixture
def mistake(capfd: pytest.CaptureFixture[str]) -> Mistake:
    """The message of a command that must refuse."""

    def mistake(module: str, *flags: str) -> str:
        capfd.readouterr()
        assert importlib.import_module(module).main(list(flags)) == 2
        message = capfd.readouterr().err.splitlines()[-1]
        assert ": error: " in message
        assert len(message) < 1000
        return message

    return mistake


READERS = {
    "train": ("training.train", "config.yaml", "--output", "trained"),
    "check-data": ("training.train", "config.yaml", "--check-data"),
    "shortlist": ("training.shortlist", "run", "--source", "a.txt", "--target", "b.txt"),
    "average": ("training.average", "run", "--best", "1", "--output", "mean"),
    "serve": ("service.serve", "--models", "config.yaml", "--port", "0"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_configuration(name: str, reader: str, here: Path, mistake: Mistake) -> None:
    for path in ("config.yaml", "run/config.yaml"):
        Path(path).write_bytes(HOSTILE[name])
    Path("run/metrics.jsonl").write_bytes(b"")
    message = mistake(*READERS[reader])
    assert "config.yaml" in message


@pytest.mark.parametrize("reader", ["train", "serve"])
def test_a_configuration_that_is_a_directory(reader: str, here: Path, mistake: Mistake) -> None:
    Path("config.yaml").mkdir()
    assert "config.yaml" in mistake(*READERS[reader])


@pytest.mark.parametrize("value", ["[" * DEEP, "{a: 1, a: 2}", "2024-99-99", "&a [*a]"])
def test_an_override(value: str, here: Path, mistake: Mistake) -> None:
    corpus = "{source: a.txt, target: b.txt}"
    Path("config.yaml").write_text(
        f"data: {{train: [{corpus}], dev: {corpus}}}\nrun: {{max_steps: 1}}"
    )
    assert "run.max_steps" in mistake(*READERS["train"], f"run.max_steps={value}")


TEXTS = {
    "deep.jsonl": b'{"text": ' + b"[" * DEEP + b"]" * DEEP + b"}\n",
    "deep_beside.jsonl": b'{"text": "a", "b": ' + b"[" * DEEP + b"]" * DEEP + b"}\n",
    "number.jsonl": b'{"text": "a", "b": ' + b"9" * 10_000 + b"}\n",
    "half.jsonl": b'{"text": "\\ud800"}\n',
    "random.jsonl": bytes(range(256)),
    "random.txt": bytes(range(256)),
    "cut.txt.gz": b"\x1f\x8b\x08\x00",
    "random.txt.zst": bytes(range(256)),
    "utf16.txt": "Hund".encode("utf-16"),
    "random.tsv": bytes(range(256)),
    "random.parquet": b"PAR1" + bytes(range(256)) + b"PAR1",
    "nothing.parquet": b"",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text(name: str, here: Path, mistake: Mistake) -> None:
    Path(name).write_bytes(TEXTS[name])
    assert name in mistake("model.translate", "run", *CPU, "--input", name, "--output", "o.x")


@pytest.mark.parametrize("name", ["/proc/self/mem", "/", "missing"])
def test_what_cannot_be_read(name: str, here: Path, mistake: Mistake) -> None:
    """The memory of a process is a file whose reading fails."""
    assert name in mistake("model.translate", "run", *CPU, "--input", name, "--output", "o.x")
    assert name in mistake("model.translate", "run", *CPU, "--input", name)
    assert name in mistake("model.score", "run", *CPU, "--source", name, "--target", "a.txt")
    assert name in mistake("training.evaluate", "--hypotheses", name, "--reference", "a.txt")
    assert name in mistake("training.distill", "run", *CPU, "--input", name, "--output", "o.x")


@pytest.mark.parametrize("names", [("text", "text"), ("text", "x", "x")])
def test_parquet_with_two_columns_of_one_name(
    names: tuple[str, ...], here: Path, mistake: Mistake
) -> None:
    columns = [pyarrow.array(["Hund"])] * len(names)
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(columns, names=names), "twins.parquet")
    files = ("--input", "twins.parquet", "--output", "o.parquet")
    message = mistake("model.translate", "run", *CPU, *files)
    assert f"twins.parquet: several columns are called {names[-1]!r}" in message
    assert not Path("o.parquet").exists()


def test_two_translations_of_parquet_are_both_replaced(here: Path, mistake: Mistake) -> None:
    names = ("text", "translation", "translation")
    columns = [pyarrow.array(["Hund"])] * 3
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(columns, names=names), "a.parquet")
    files = ("--input", "a.parquet", "--output", "o.parquet")
    assert importlib.import_module("model.translate").main(["run", *CPU, *files]) == 0
    assert pyarrow.parquet.read_table("o.parquet").column_names == ["text", "translation"]


def test_training_data_with_two_columns_of_one_name(here: Path, mistake: Mistake) -> None:
    columns = [pyarrow.array(["Hund"])] * 3
    names = ["source", "target", "target"]
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(columns, names=names), "twins.parquet")
    Path("config.yaml").write_text(
        "data:\n  train: [{files: twins.parquet}]\n  dev: {source: a.txt, target: b.txt}\n"
        "  source_language: de\n  target_language: en\n  license: CC0\n  cache_dir: cache\n"
        "  data_dir: .\n"
        "tokenizer: {model: run/best/tokenizer.model, vocab_size: 320}\n"
        "model: {}\nrun: {max_steps: 1}\noptimizer: {warmup_steps: 1}\n"
    )
    message = mistake(*READERS["check-data"])
    assert "several columns are called 'target'" in message


@pytest.mark.parametrize("content", [b"[" * DEEP, b"[]", b"5", b"\xff", b"", b'{"records": "x"}'])
def test_a_manifest_of_parts(content: bytes, here: Path, mistake: Mistake) -> None:
    Path("o.txt.parts").mkdir()
    Path("o.txt.parts/manifest.json").write_bytes(content)
    files = ("--input", "a.txt", "--output", "o.txt", "--resume")
    assert "manifest.json: cannot be used" in mistake("model.translate", "run", *CPU, *files)
