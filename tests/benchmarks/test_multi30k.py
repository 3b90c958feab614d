"""benchmarks/multi30k.sh: captions translated back, learned from, and the real pairs last."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from training.config.train_config import load_config

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "run.max_steps=4",
    "run.eval_every=2",
    "optimizer.warmup_steps=1",
    "tokenizer.vocab_size=300",
    "model.encoder_size=16",
    "model.decoder_size=16",
)
LINES = {"en": "a dog runs\n", "de": "ein Hund rennt\n"}


def script(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "benchmarks/multi30k.sh", *arguments],
        cwd=ROOT,
        env=os.environ | {"DRAGOMAN_DATA": str(folder), "PATH": programs},
        capture_output=True,
        text=True,
    )


def test_what_it_does_not_know_is_refused(tmp_path: Path) -> None:
    done = script(tmp_path, "captions", str(tmp_path))
    assert done.returncode == 2
    message = "no captions. Use with-captions, without-captions or student."
    assert done.stderr == f"benchmarks/multi30k.sh: {message}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "runs"),
    [
        ("with-captions", ["back", "mixed", "real", "final"]),
        ("without-captions", ["plain", "late", "alone"]),
    ],
)
def test_all_stages_run_and_the_last_is_scored(what: str, runs: list[str], tmp_path: Path) -> None:
    data = tmp_path / "multi30k"
    data.mkdir()
    for part in ("train", "val", "captions", "test_2016_flickr"):
        for language, line in LINES.items():
            (data / f"{part}.{language}.gz").write_bytes(gzip.compress(line.encode() * 20))
    done = script(tmp_path, what, str(tmp_path / "runs"), *SMALL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nBLEU: nrefs") == 2  # of beam search and of greedy search
    for run in runs:
        assert (tmp_path / "runs" / run / "best").exists()
    if what == "with-captions":
        lines = (tmp_path / "runs" / "captions.tsv").read_text(encoding="utf-8").splitlines()
        assert len(lines) == 20 and all(line.startswith("ein Hund rennt\t") for line in lines)
        for run in ("mixed", "final"):
            config = load_config(tmp_path / "runs" / run / "config.yaml", [])
            assert [(corpus.weight, corpus.tag) for corpus in config.data.train] == [
                (3, ""),
                (1, "<back>"),
            ]
        # So small a teacher writes nothing, so the other half is as if it had been translated.
        (tmp_path / "runs" / "student.captions.tsv").write_text("a dog runs\tein Hund rennt\n" * 20)
        vocabulary = "tokenizer.vocab_size=auto"
        done = script(tmp_path, "student", str(tmp_path / "runs"), *SMALL, vocabulary)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\nBLEU: nrefs") == 2
        lines = (tmp_path / "runs" / "student.train.tsv").read_text().splitlines()
        assert len(lines) == 20 and all(line.startswith("a dog runs\t") for line in lines)
