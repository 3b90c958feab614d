"""No command overwrites what it reads, or writes for another purpose, by whatever name."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

RUN_FLAGS = "--device cpu --precision fp32"

ROWS = [
    # command, its arguments; ALIAS is another name of the file that the last column says
    ("model.translate", "RUN --input a.txt --output ALIAS", "a.txt"),
    ("model.translate", "RUN --input a.txt --output o.txt --quarantine ALIAS", "a.txt"),
    ("model.translate", "RUN --input a.txt --quarantine ALIAS", "a.txt"),
    ("model.translate", "RUN b.txt a.txt --output ALIAS", "a.txt"),
    ("model.translate", "RUN --input a.tsv --format tsv --output ALIAS", "a.tsv"),
    ("model.translate", "RUN --input a.tsv --output o.tsv --quarantine ALIAS", "a.tsv"),
    ("model.translate", "RUN --input a.jsonl --format jsonl --output ALIAS", "a.jsonl"),
    ("model.translate", "RUN --input a.jsonl --output o.jsonl --quarantine ALIAS", "a.jsonl"),
    ("model.translate", "RUN --input a.parquet --format parquet --output ALIAS", "a.parquet"),
    ("model.translate", "RUN --input a.parquet --output o.parquet --quarantine ALIAS", "a.parquet"),
    ("model.translate", "RUN --input a.txt --output b.txt --quarantine ALIAS", "b.txt"),
    ("model.translate", "RUN --input a.txt --output ALIAS", "WEIGHTS"),
    ("model.translate", "RUN --input a.txt --output o.txt --quarantine ALIAS", "WEIGHTS"),
    ("model.translate", "RUN --ensemble OTHER --input a.txt --output ALIAS", "OTHER_WEIGHTS"),
    ("model.translate", "RUN --resume --input o.txt.parts/in.txt --output o.txt", None),
    ("model.translate", "RUN --input a.txt --output o.txt --quarantine O.txt", None),
    ("model.translate", "RUN --input a.txt --output o.txt --quarantine o.txt.parts", None),
    ("model.score", "RUN --source a.txt --target b.txt --output ALIAS", "a.txt"),
    ("model.score", "RUN --source a.txt --target b.txt --output ALIAS", "b.txt"),
    ("model.score", "RUN --source a.txt --target b.txt --output ALIAS", "WEIGHTS"),
    ("model.bench", "RUN --input a.txt --repeats 1 --in-flight 1 --json ALIAS", "a.txt"),
    ("model.bench", "RUN --repeats 1 --in-flight 1 --json ALIAS", "WEIGHTS"),
    ("model.inspect", "RUN --json ALIAS", "WEIGHTS"),
    ("training.evaluate", "RUN --source a.txt --reference b.txt --output ALIAS", "a.txt"),
    ("training.evaluate", "RUN --source a.txt --reference b.txt --output ALIAS", "b.txt"),
    ("training.evaluate", "RUN --source a.txt --reference b.txt c.txt --output ALIAS", "c.txt"),
    ("training.evaluate", "RUN --source a.txt --reference b.txt --output ALIAS", "WEIGHTS"),
    ("training.evaluate", "RUN --source a.txt --reference b.txt --json ALIAS", "a.txt"),
    ("training.evaluate", "RUN --source a.txt --reference b.txt --json ALIAS", "WEIGHTS"),
    ("training.evaluate", "--hypotheses a.txt --reference b.txt --json ALIAS", "a.txt"),
    ("training.evaluate", "--hypotheses a.txt --reference b.txt --json ALIAS", "b.txt"),
    (
        "training.evaluate",
        "--hypotheses a.txt --reference b.txt --against c.txt --json ALIAS",
        "c.txt",
    ),
    (
        "training.evaluate",
        "RUN --source a.txt --reference b.txt --baseline c.txt --output ALIAS",
        "c.txt",
    ),
    (
        "training.evaluate",
        "RUN --against OTHER --source a.txt --reference b.txt --output ALIAS",
        "OTHER_WEIGHTS",
    ),
    ("training.evaluate", "--lead 1 --source a.txt --reference b.txt --output ALIAS", "a.txt"),
    (
        "training.evaluate",
        "--lead 1 --source a.txt --reference b.txt --output c.txt --json ALIAS",
        "c.txt",
    ),
    ("training.distill", "RUN --input a.txt --output ALIAS", "a.txt"),
    ("training.distill", "RUN --input a.tsv --output ALIAS", "a.tsv"),
    ("training.distill", "RUN --input a.txt --output ALIAS", "WEIGHTS"),
    ("training.distill", "RUN --ensemble OTHER --input a.txt --output ALIAS", "OTHER_WEIGHTS"),
    ("training.distill", "RUN --resume --input o.txt.parts/in.txt --output o.txt", None),
    ("training.average", "CHECKPOINT OTHER_CHECKPOINT --output ALIAS", "WEIGHTS"),
    ("training.average", "CHECKPOINT OTHER_CHECKPOINT --output CHECKPOINT", None),
    ("training.shortlist", "RUN --source RUN/checkpoints/a.txt --target b.txt", None),
    ("training.shortlist", "RUN --source a.txt --target RUN/checkpoints/b.txt", None),
    ("training.shortlist", "CHECKPOINT --files run/checkpoints/step-000001/card.md", None),
    ("training.shortlist", "RUN --source a.txt --target b.txt --output ALIAS", "a.txt"),
    ("training.train", "config.yaml --output .", None),
    ("training.train", "c.yaml --output . data.train=[{files: metrics.jsonl}]", None),
    ("training.train", "c.yaml --output . data.train=[{files: tensorboard/a.tsv}]", None),
    ("training.train", "c.yaml --output . data.dev={source: report.html, target: b.txt}", None),
    ("training.train", "c.yaml --output . data.dev={source: a.txt, target: record.json}", None),
    ("training.train", "c.yaml --output . tokenizer.model=checkpoints/tokenizer", None),
    ("training.train", "c.yaml --output RUN finetune.init_from=RUN", None),
    (
        "training.train",
        "c.yaml --output RUN objective.distillation=0.5 objective.teacher=[RUN]",
        None,
    ),
]

CONFIG = """
data:
  train: [{source: a.txt, target: b.txt}]
  dev: {source: a.txt, target: b.txt}
  source_language: de
  target_language: en
  license: CC0
model: {}
run: {max_steps: 1}
optimizer: {warmup_steps: 1}
"""

REASON = r": (the same file as|the folder of|within|exists)"
"""How a message begins to say why a file would be lost."""


@pytest.fixture
def here(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with whatever a command reads, and in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DRAGOMAN_DATA", raising=False)
    for name in ("run", "other"):
        shutil.copytree(tiny_checkpoint, name, symlinks=True)
    for folder in ("o.txt.parts", "tensorboard", "checkpoints"):
        Path(folder).mkdir()
    for path in ("a.txt", "b.txt", "c.txt", "o.txt.parts/in.txt", "report.html", "record.json"):
        Path(path).write_text("Hund\nMann\n")
    for path in ("a.txt", "b.txt"):
        Path("run/checkpoints", path).write_text("Hund\nMann\n")
    for path in ("a.tsv", "tensorboard/a.tsv"):
        Path(path).write_text("Hund\tdog\n")
    Path("a.jsonl").write_text('{"text": "Hund"}\n')
    Path("metrics.jsonl").write_text('{"source": "Hund", "target": "dog"}\n')
    Path("checkpoints/tokenizer").write_bytes(b"pieces")
    for path in ("config.yaml", "c.yaml"):
        Path(path).write_text(CONFIG)
    pyarrow.parquet.write_table(pyarrow.table({"text": ["Hund"]}), "a.parquet")
    return tmp_path


def contents(folder: Path) -> Mapping[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def arguments(text: str, alias: str) -> list[str]:
    """The words of a row; those of a train override, which has spaces, stay together."""
    words = {
        "RUN": "run",
        "OTHER": "other",
        "CHECKPOINT": "run/checkpoints/step-000001",
        "OTHER_CHECKPOINT": "other/checkpoints/step-000001",
        "ALIAS": alias,
    }
    override = text.find(" data.")
    parts = text.split() if override < 0 else [*text[:override].split(), text[override + 1 :]]
    parts = [words.get(part, part) for part in parts]
    return [part.replace("RUN", "run") for part in parts]


def aliased(victim: str | None, how: str) -> str:
    if victim is None:
        return ""
    victim = victim.replace("OTHER_WEIGHTS", "other/best/weights.safetensors")
    victim = victim.replace("WEIGHTS", "run/best/weights.safetensors")
    if how == "the same name":
        return victim
    alias = f"alias{Path(victim).suffix}"
    if how == "a link":
        os.symlink(victim, alias)
    elif how == "a hard link":
        os.link(os.path.realpath(victim), alias)
    else:
        os.symlink(".", "folder")
        alias = f"folder/./{victim}"
    return alias


HOW = ("the same name", "a link", "a hard link", "a linked folder")
CASES = [(*row, how) for row in ROWS for how in (HOW if row[2] else HOW[:1])]


@pytest.mark.parametrize(("command", "row", "victim", "how"), CASES)
def test_nothing_is_overwritten(
    command: str,
    row: str,
    victim: str | None,
    how: str,
    here: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = arguments(row, aliased(victim, how))
    if command in ("model.translate", "model.score", "training.evaluate", "training.distill"):
        flags += RUN_FLAGS.split()
    before = contents(here)
    status = importlib.import_module(command).main(flags)
    assert contents(here) == before
    assert status == 2
    message = capsys.readouterr().err.splitlines()
    assert len(message) == 1 and ": error: " in message[0]
    assert re.search(REASON, message[0])


@pytest.mark.parametrize(
    "line",
    [
        "model.translate run --output a.txt < a.txt",
        "model.translate run --input a.txt >> a.txt",
        "model.translate run --input /dev/stdin --output a.txt < a.txt",
        "model.translate run --quarantine a.txt < a.txt",
        "model.translate run --input a.txt --quarantine b.txt --output /dev/stdout >> b.txt",
        "model.score run --source /dev/stdin --target b.txt --output a.txt < a.txt",
        "model.score run --source a.txt --target b.txt >> b.txt",
        "model.bench run --input - --json a.txt < a.txt",
        "model.inspect run --json run/best/card.md",
        "training.evaluate --hypotheses a.txt --reference b.txt >> b.txt",
        "training.evaluate --hypotheses a.txt --reference b.txt --json c.txt >> c.txt",
        "training.evaluate --hypotheses /dev/fd/0 --reference b.txt --json a.txt < a.txt",
    ],
)
@pytest.mark.slow
def test_what_the_shell_has_redirected(line: str, here: Path) -> None:
    before = contents(here)
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        f"{sys.executable} -m {line}",
        shell=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert contents(here) == before
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert re.search(REASON, done.stderr)


def test_one_device_may_be_read_and_written(here: Path, tiny_checkpoint: Path) -> None:
    translate = importlib.import_module("model.translate").main
    flags = [*RUN_FLAGS.split(), "--quarantine", "/dev/null"]
    assert translate(["run", "--input", "/dev/null", "--output", "/dev/null", *flags]) == 0


def test_files_beside_each_other_are_no_concern(here: Path) -> None:
    """Names that begin alike, a file in a run that is read, an output that exists."""
    translate = importlib.import_module("model.translate").main
    for output in ("b.txt", "a.txt.out", "run/out.txt", "run/out.txt"):
        flags = [*RUN_FLAGS.split(), "--quarantine", f"{output}.aside"]
        assert translate(["run", "--input", "a.txt", "--output", output, *flags]) == 0
    assert Path("a.txt").read_text() == "Hund\nMann\n"
