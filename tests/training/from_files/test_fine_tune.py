"""`dragoman-train --from RUN`: settings come from the model, and the old dev set is measured."""

import random
from pathlib import Path

import pytest
import yaml

from model.checkpoint.checkpoint import load_checkpoint
from training.config.train_config import TrainConfig, load_config
from training.from_files.fine_tune import SLOWER, find_config
from training.tracking.metrics_log import read_metrics
from training.train import main

SPANISH = {"ein": "uno", "zwei": "dos", "rot": "rojo", "blau": "azul", "Haus": "casa"}


@pytest.fixture(scope="module")
def tuned(begun_run: Path) -> Path:
    """`begun_run` with `new`, which goes on from its run with 200 own pairs."""
    rng = random.Random(2)
    lines = [rng.choices(list(SPANISH), k=rng.randint(3, 9)) for _ in range(200)]
    (begun_run / "own.de").write_text("".join(" ".join(line) + "\n" for line in lines))
    text = "".join(" ".join(SPANISH[word] for word in line) + "\n" for line in lines)
    (begun_run / "own.es").write_text(text)
    assert main(arguments(begun_run, "run.max_steps=6")) == 0
    return begun_run


def arguments(folder: Path, *more: str) -> list[str]:
    files = ["--source", str(folder / "own.de"), "--target", str(folder / "own.es")]
    places = ["--from", str(folder / "run"), "--output", str(folder / "new")]
    return [*files, *places, "--minutes", "10", *more]


def configs(folder: Path) -> tuple[TrainConfig, TrainConfig]:
    return load_config(folder / "run" / "config.yaml"), load_config(folder / "new" / "config.yaml")


def test_the_model_gives_tokenizer_sizes_languages_and_search(tuned: Path) -> None:
    old, new = configs(tuned)
    before, after = (load_checkpoint(tuned / name) for name in ("run", "new"))
    assert after.config == before.config
    assert after.tokenizer.model == before.tokenizer.model
    assert after.search == before.search == new.search
    assert new.data.source_language == old.data.source_language
    assert after.origin == before.origin


def test_the_learning_rate_is_lower_and_the_warm_up_short(tuned: Path) -> None:
    old, new = configs(tuned)
    assert new.optimizer.learning_rate == pytest.approx(SLOWER * old.optimizer.learning_rate)
    assert new.optimizer.warmup_steps <= 50
    assert new.run.max_minutes == 10


def test_the_dev_set_of_the_old_run_is_measured(tuned: Path) -> None:
    copies = [tuned / "new" / "data" / f"old_dev.{side}" for side in ("source", "target")]
    for copy, original in zip(copies, ("dev.de", "dev.en"), strict=True):
        assert copy.read_text(encoding="utf-8") == (tuned / original).read_text(encoding="utf-8")
    assert "before_old_dev_bleu" in read_metrics(tuned / "new" / "metrics.jsonl")[0]


def test_it_goes_on_by_the_same_command(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(tuned, "run.max_steps=9")) == 0
    assert load_checkpoint(tuned / "new" / "last").step == 9
    assert "BLEU, old dev set" in capsys.readouterr().out


def test_it_does_not_go_on_from_another_model(
    tuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [flag.replace(str(tuned / "run"), str(tuned / "other")) for flag in arguments(tuned)]
    assert main(command) == 2
    assert "finetune.init_from was" in capsys.readouterr().err


def test_without_the_old_dev_set_it_says_so(
    tuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint alone: there is no config that names one."""
    run = tuned / "alone"
    source = ["--source", str(tuned / "own.de"), "--target", str(tuned / "own.es")]
    best = (tuned / "run" / "best").resolve()
    moved = best.rename(tuned / "moved")
    try:
        assert find_config(moved) is None
        more = ["--from", str(moved), "--output", str(run), "--minutes", "5", "run.max_steps=2"]
        assert main([*source, *more]) == 0
    finally:
        moved.rename(best)
    told = capsys.readouterr()
    assert "old dev set: unknown. --old-dev-source and --old-dev-target name it" in told.err
    assert "what was forgotten is unknown" in told.out


def test_a_given_old_dev_set_is_used(tuned: Path) -> None:
    given = ["--old-dev-source", str(tuned / "train.de"), "--old-dev-target"]
    text = ["--dry-run", "--minutes", "5", "--from", str(tuned / "run")]
    source = ["--source", str(tuned / "own.de"), "--target", str(tuned / "own.es")]
    run = tuned / "given"
    command = [*source, *given, str(tuned / "train.en"), *text[1:], "--output", str(run)]
    assert main([*command, "run.max_steps=1"]) == 0
    copied = (run / "data" / "old_dev.target").read_text(encoding="utf-8")
    assert copied == (tuned / "train.en").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--old-dev-source", "own.de"], "--old-dev-target is missing. Give both sides"),
        (["--from", "absent"], "absent"),
    ],
)
def test_a_mistake_is_one_line(
    tuned: Path,
    flags: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tuned)
    command = ["--source", "own.de", "--target", "own.es", "--output", "wrong", *flags]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert message in error.splitlines()[-1]


def test_the_config_says_why(tuned: Path) -> None:
    text = (tuned / "new" / "config.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["finetune"]["init_from"] == str((tuned / "run").resolve())
    assert "a fifth of that of the first training" in text
