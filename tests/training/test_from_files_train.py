"""`dragoman-train --source --target`: from two files to a model, without a config."""

import gzip
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.checkpoint.checkpoint import load_checkpoint
from model.translator import Translator
from training.config.train_config import load_config
from training.train import main

WORDS = {"ein": "one", "zwei": "two", "rot": "red", "blau": "blue", "Haus": "house", "Hut": "hat"}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The flags that name 400 different pairs."""
    rng = random.Random(1)
    lines = {tuple(rng.choices(list(WORDS), k=rng.randint(4, 8))) for _ in range(420)}
    pairs = [(" ".join(line), " ".join(WORDS[word] for word in line)) for line in sorted(lines)]
    rng.shuffle(pairs)
    (tmp_path / "a.de").write_text("".join(f"{source}\n" for source, _ in pairs[:400]))
    (tmp_path / "a.en").write_text("".join(f"{target}\n" for _, target in pairs[:400]))
    return ["--source", str(tmp_path / "a.de"), "--target", str(tmp_path / "a.en")]


def train(files: list[str], run: Path, *more: str) -> int:
    return main([*files, "--output", str(run), *more])


def test_two_files_become_a_model_and_a_config_with_reasons(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(files, run, "--minutes", "0.2", "--source-language", "German") == 0
    told = capsys.readouterr()
    assert "400 pairs: 320 for the training, 80 held out as a dev set" in told.err
    assert "model.dropout: 0.4  (" in told.err
    assert f"Translate: dragoman-translate {run}\nServe: dragoman-serve {run}\n" in told.out
    assert f"Report: {run / 'report.html'}" in told.out and (run / "report.html").is_file()
    text = (run / "config.yaml").read_text(encoding="utf-8")
    assert "max_minutes: 0.2                      # --minutes" in text
    assert all("  # " in line for line in text.splitlines() if line.startswith("  "))
    config = load_config(run / "config.yaml")
    assert config.data.source_language == "de"
    assert load_checkpoint(run).config.embedding_size == config.model.embedding_size
    assert len(Translator.load(run).translate(["ein Haus"])) == 1
    assert train(files, run, "--minutes", "0.2") == 0
    assert "Raise run.max_minutes (without a CONFIG: --minutes) to go" in capsys.readouterr().out
    assert (run / "config.yaml").read_text(encoding="utf-8") == text


def test_the_config_trains_the_same_data_again(files: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    end = "run.max_steps=4"
    assert train(files, run, end, "--minutes", "60") == 0
    again = [str(run / "config.yaml"), "--output", str(tmp_path / "again"), end]
    assert main(again) == 0
    one, two = load_config(run / "config.yaml"), load_config(tmp_path / "again" / "config.yaml")
    assert one == two
    for name in ("run", "again"):
        assert load_checkpoint(tmp_path / name / "last").step == 4
    states = [
        load_file(tmp_path / name / "last" / "training_state" / "state.safetensors")
        for name in ("run", "again")
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_same_command_goes_on_after_a_kill(files: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = [*files, "--output", str(run), "run.eval_every=5"]
    command = [sys.executable, "-m", "training.train", *settings, "--minutes", "60"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not (run / "last").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped = load_checkpoint(run / "last").step
    assert main([*settings, f"run.max_steps={stopped + 3}", "--minutes", "60"]) == 0
    assert load_checkpoint(run / "last").step == stopped + 3


def test_tsv_gz_and_a_dev_set_of_ones_own(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = zip(*(Path(files[n]).read_text().splitlines() for n in (1, 3)), strict=True)
    pairs = list(columns)
    packed = gzip.compress("".join(f"{a}\t{b}\tmore\n" for a, b in pairs[:300]).encode())
    (tmp_path / "a [1].tsv.gz").write_bytes(packed)
    for number, name in enumerate(("dev.de", "dev.en")):
        lines = "".join(f"{pair[number]}\n" for pair in pairs[299:])
        (tmp_path / name).write_text(lines)
    dev = ["--dev-source", str(tmp_path / "dev.de"), "--dev-target", str(tmp_path / "dev.en")]
    flags = ["--tsv", str(tmp_path / "a [1].tsv.gz"), *dev]
    assert train(flags, tmp_path / "run", "--minutes", "60", "run.max_steps=2") == 0
    told = capsys.readouterr().err
    assert "300 pairs for the training; the dev set was given" in told
    assert "warning: 1 of them share" in told
    assert "train: 300 lines, all kept" in told
    assert "dev: 101 lines" in told


def test_the_dry_run_writes_nothing(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(files, tmp_path / "run", "--dry-run") == 0
    told = capsys.readouterr()
    assert "passes over the data" in told.out
    assert "run.max_minutes: 10" in told.err
    assert not (tmp_path / "run").exists()


def test_check_data_tells_what_is_left_out_and_measures_nothing(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    source = Path(files[1])
    lines = source.read_text().splitlines()
    source.write_text("\n".join([" ".join(["Haus"] * 60), *lines[1:]]))
    assert main([*files, "--check-data"]) == 0
    told = capsys.readouterr()
    assert told.err == "400 pairs: 321 for the training, 79 held out as a dev set\n"
    assert "kept 320 of 321" in told.out


def test_ctrl_c_while_the_settings_are_found_is_one_line(files: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "training.train", *files, "--output", str(run)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "held out" in process.stderr.readline()
        assert "learning a vocabulary" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert rest == "SIGINT: stopped before the training began. Give the same command again.\n"
    assert main([*files, "--output", str(run), "run.max_steps=2", "--minutes", "60"]) == 0


def refused(capsys: pytest.CaptureFixture[str], status: int) -> str:
    """The one line that the command wrote."""
    errors = capsys.readouterr().err
    assert status == 2
    assert errors.count("\n") == 1
    assert errors.startswith("dragoman-train: error: ")
    return errors


def shorten(folder: Path) -> None:
    lines = (folder / "a.en").read_text().splitlines(keepends=True)
    (folder / "a.en").write_text("".join(lines[:-1]))


def ten(folder: Path) -> None:
    for name in ("a.de", "a.en"):
        lines = (folder / name).read_text().splitlines(keepends=True)
        (folder / name).write_text("".join(lines[:10]))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (shorten, "400 lines and"),
        (lambda folder: (folder / "a.de").write_bytes(b""), "the file is empty"),
        (lambda folder: (folder / "a.de").write_bytes(b"\xff\x00\n" * 400), "not valid UTF-8"),
        (lambda folder: (folder / "a.de").unlink(), "no such file"),
        (ten, "only 10 different pairs"),
        (
            lambda folder: (folder / "a.de").write_bytes((folder / "a.en").read_bytes()),
            "only 0 different pairs",
        ),
    ],
)
def test_files_that_are_wrong_are_one_line(
    files: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    break_it: Callable[[Path], object],
    message: str,
) -> None:
    break_it(tmp_path)
    assert message in refused(capsys, train(files, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_flags_that_are_wrong_are_one_line(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, source = tmp_path / "run", files[:2]
    (frames := tmp_path / "b.npz").write_bytes(b"")
    for flags, message in (
        ([*source, "--target", files[1]], "is the same file as --source"),
        (source, "--target is missing"),
        ([*source, "--target", str(frames)], "these are vectors, and files without a config are"),
        ([*files, "source.kind=symbols"], "source.kind=symbols: files without a config are text."),
        (["--minutes", "3"], "--source is missing"),
        ([], "name a CONFIG, or give --source and --target"),
        ([*files, "--tsv", files[1]], "Leave --source and --target out"),
        (["--tsv", files[1]], "not named .tsv"),
        ([*files, "--dev-source", files[1]], "--dev-target is missing"),
        ([*files, "configs/demo.yaml"], "is for a training without CONFIG"),
        (["configs/demo.yaml", "--from", "x"], "--from is for a training without CONFIG"),
        ([*files, "--minutes", "0"], "--minutes: 0 must be above 0"),
        ([*files, "--minutes", "nan"], "--minutes: nan must be above 0"),
        ([*files, "--minutes", "soon"], "--minutes: invalid"),
        ([*files, "run.device=cpuu"], "device: 'cpuu' is not known"),
        ([*files, "--source-language", "no such one"], "data.source_language"),
        ([*files, "model.dropuot=1"], "Did you mean 'dropout'"),
    ):
        assert message in refused(capsys, train(flags, run)), flags
    assert "--output RUN is missing" in refused(capsys, main(files))
    texts = [files[1], files[3], "--output", str(run)]
    said = f"two files of text are given as --source {files[1]} --target {files[3]}. See"
    assert said in refused(capsys, main(texts))
    absent = ["configs/absent.yaml", "--output", str(run)]
    assert "or give --source and --target without one." in refused(capsys, main(absent))


def test_a_run_of_other_pairs_or_of_a_config_is_left_alone(
    files: list[str],
    tmp_path: Path,
    tiny_config: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    assert train(files, run, "--minutes", "60", "run.max_steps=2") == 0
    lines = Path(files[1]).read_text()
    Path(files[1]).write_text(lines.replace("rot", "blau"))
    capsys.readouterr()
    assert "was begun with other pairs" in refused(capsys, train(files, run))
    Path(files[1]).write_text(lines)
    other = tmp_path / "other"
    assert main([str(tiny_config), "--output", str(other), "run.max_steps=2"]) == 0
    capsys.readouterr()
    assert "holds a run with a config of its own" in refused(capsys, train(files, other))


def test_input_files_are_not_overwritten(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run" / "data"
    folder.mkdir(parents=True)
    inside = folder / "train.source"
    inside.write_bytes(Path(files[1]).read_bytes())
    flags = ["--source", str(inside), *files[2:]]
    assert "would be lost" in refused(capsys, train(flags, tmp_path / "run"))
    assert inside.read_bytes() == Path(files[1]).read_bytes()


def test_of_texts_longer_than_a_summarizer_reads_the_beginning_is_read(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dev.de").write_text("ein Haus " * 600 + "\nzwei Hut\n")
    (tmp_path / "dev.en").write_text("one house\ntwo hat\n")
    dev = ["--dev-source", str(tmp_path / "dev.de"), "--dev-target", str(tmp_path / "dev.en")]
    changes = ["search.max_length_a=0", "search.beam_size=1"]

    asked = ["--task", "summarize", "--minutes", "0.1", "--dry-run", *changes]
    assert train([*files, *dev], tmp_path / "run", *asked) == 0

    assert "search.on_long: cut  (" in capsys.readouterr().err
