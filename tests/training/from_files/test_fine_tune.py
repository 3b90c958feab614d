"""`dragoman-train --from RUN`: settings come from the model, and the old dev set is measured."""

import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.pack import main as pack
from training.config.train_config import TrainConfig, load_config
from training.data.text_corpus import TextPairs
from training.from_files.choose_settings import Statistics
from training.from_files.data_settings import DividedData
from training.from_files.fine_tune import (
    Base,
    find_config,
    fine_tune_settings,
    fine_tuning_minutes,
    load_base,
    old_dev_settings,
    search_settings,
    training_settings,
)
from training.tracking.metrics_log import read_metrics
from training.train import main

STEPS = ("run.max_steps=1", "optimizer.warmup_steps=1")
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
    return [*files, *places, "--minutes", "10", "optimizer.warmup_steps=1", *more]


def base_of(path: Path, **changes: Any) -> Base:
    """The model at `path`, without the config of its run and with `changes` of its profile."""
    checkpoint = load_checkpoint(path)
    profile = dataclasses.replace(checkpoint.profile, **changes)
    return Base(
        path=path, checkpoint=dataclasses.replace(checkpoint, profile=profile), trained_by=None
    )


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


def test_a_summarizer_may_repeat_pieces_if_it_could_before(tiny_checkpoint: Path) -> None:
    """What the task would set otherwise is written down."""
    for task, repeats in (("translate", None), ("summarize", 0)):
        base = base_of(tiny_checkpoint, task=task)
        found = {one.key: one.value for one in search_settings(base)}
        assert found.get("search.no_repeat_ngram") == repeats
        assert found["search.beam_size"] == 2


@pytest.mark.parametrize(("boundaries", "buckets"), [((), None), ((5, 9, 12), 4)])
def test_length_pieces_are_kept(
    tiny_checkpoint: Path, boundaries: tuple[int, ...], buckets: int | None
) -> None:
    sample = TextPairs(sources=["ein Haus"], targets=["a house"])
    data = DividedData(settings=[], pairs=1, sample=sample)
    base = base_of(tiny_checkpoint, length_buckets=boundaries)
    chosen = fine_tune_settings(base, data, minutes=1, device=torch.device("cpu"))
    found = {one.key: one.value for one in chosen}
    assert found.get("data.length_buckets") == buckets


def test_the_old_dev_set_keeps_its_tag(tuned: Path, tmp_path: Path) -> None:
    base, data = load_base(tuned / "run"), configs(tuned)[0].data
    for tag in ("", "<news>"):
        given = dataclasses.replace(data.dev, tag=tag)
        (setting,) = old_dev_settings(base, given, data, tmp_path, print)
        assert isinstance(setting.value, dict)
        assert setting.value.get("tag", "") == tag


def test_the_learning_rate_is_a_fifth(tuned: Path) -> None:
    old, new = configs(tuned)
    assert new.optimizer.learning_rate == pytest.approx(old.optimizer.learning_rate / 5)
    assert new.run.max_minutes == 10


@pytest.mark.parametrize(
    ("minutes", "warm_up", "average"), [(0.1, 1, 0.9), (1.0, 6, 0.9), (10.0, 50, 0.983)]
)
def test_warm_up_and_average_suit_the_number_of_updates(
    tiny_checkpoint: Path, minutes: float, warm_up: int, average: float
) -> None:
    """One update a second: 6, 60 and 600 of them, of which a tenth at most is warm-up."""
    base = base_of(tiny_checkpoint)
    pairs = Statistics(pairs=1000, source_pieces=10, target_pieces=10, longest=20)
    found = training_settings(base, pairs, minutes=minutes, pieces_per_s=1000, batch_tokens=1000)
    values = {one.key: one.value for one in found}
    assert values["optimizer.warmup_steps"] == warm_up
    assert values["optimizer.ema"] == pytest.approx(average)
    assert values["optimizer.learning_rate"] == pytest.approx(0.001)  # a fifth of the usual one


@pytest.mark.parametrize(("pairs", "minutes"), [(100, 5), (100_000, 35), (10_000_000, 60)])
def test_the_minutes_are_for_ten_passes(pairs: int, minutes: int) -> None:
    statistics = Statistics(pairs=pairs, source_pieces=10, target_pieces=10, longest=20)
    assert fine_tuning_minutes(statistics, pieces_per_s=10_000) == minutes


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
        more = ["--from", str(moved), "--output", str(run), "--minutes", "5", *STEPS]
        assert main([*source, *more]) == 0
    finally:
        moved.rename(best)
    told = capsys.readouterr()
    assert "old dev set: unknown. --old-dev-source and --old-dev-target name it" in told.err
    assert "what was forgotten is unknown" in told.out


def test_a_pack_is_of_no_run(tuned: Path) -> None:
    """It may lie beside the config.yaml of anything."""
    packed = tuned / "run" / "x.dragoman"
    assert pack([str(tuned / "run"), "--output", str(packed)]) == 0
    try:
        assert find_config(tuned / "run") is not None
        assert find_config(packed) is None
    finally:
        packed.unlink()


def test_a_given_old_dev_set_is_used(tuned: Path) -> None:
    given = ["--old-dev-source", str(tuned / "train.de"), "--old-dev-target"]
    text = ["--minutes", "5", "--from", str(tuned / "run")]
    source = ["--source", str(tuned / "own.de"), "--target", str(tuned / "own.es")]
    run = tuned / "given"
    command = [*source, *given, str(tuned / "train.en"), *text, "--output", str(run)]
    assert main([*command, *STEPS]) == 0
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
