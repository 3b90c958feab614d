"""The short trainings of benchmarks.translator_steps: what they change is what their names say."""

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.translator_steps import (
    BASELINE,
    CONFIG,
    SEED,
    SMALL,
    STEPS,
    TRANSLATED,
    translate,
    with_needed,
)
from training.config.train_config import TrainConfig, load_config


def config_of(step: str) -> TrainConfig:
    return load_config(Path(CONFIG), [*SMALL, *STEPS[step], "data.data_dir=corpora"])


@pytest.mark.parametrize("step", [name for name in STEPS if name != BASELINE])
def test_a_step_changes_one_part_of_the_baseline(step: str) -> None:
    plain, changed = config_of(BASELINE), config_of(step)
    assert changed != plain
    of_vocabulary = replace(plain.model, vocab_size=changed.model.vocab_size)
    parts = [
        replace(plain, data=changed.data),
        replace(plain, optimizer=changed.optimizer),
        replace(plain, objective=changed.objective),
        replace(plain, run=changed.run),
        replace(plain, tokenizer=changed.tokenizer, model=of_vocabulary),
        replace(plain, model=changed.model, tokenizer=plain.tokenizer),
    ]
    assert parts.count(changed) == 1


def test_the_baseline_learns_from_single_clean_sentences_alone() -> None:
    data = config_of(BASELINE).data
    assert len(data.train) == 1 and data.joined == data.noise == 0


def test_teachers_are_trained_before_the_step_that_needs_them() -> None:
    pupil = "the baseline and another seed as teachers"
    assert with_needed([pupil]) == [BASELINE, SEED, pupil]
    assert with_needed(["stories", "joined 0.15"]) == [BASELINE, "joined 0.15", "stories"]
    assert with_needed(STEPS) == list(STEPS)


def test_what_a_step_needs_is_translated_once_and_nothing_else(tmp_path: Path) -> None:
    source = "Ich liebe dich.\nWo bist du?\n"
    for inputs, *_ in TRANSLATED.values():
        path = tmp_path / "data" / inputs
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(source.encode()))
    translate(tmp_path, tmp_path / "data", STEPS["German translated forward"])
    assert [path.name for path in tmp_path.glob("*.tsv")] == ["forward.tsv"]
    lines = (tmp_path / "forward.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == source.splitlines()
    assert [line.split("\t")[1] for line in lines] == ["I love you.", "Where are you?"]
    (tmp_path / "forward.tsv").write_text("kept")
    translate(tmp_path, tmp_path / "data", STEPS["German translated forward"])
    assert (tmp_path / "forward.tsv").read_text() == "kept"


def test_every_translated_file_is_of_one_step() -> None:
    changes = [change for step in STEPS.values() for change in step]
    for name in TRANSLATED:
        assert sum(f"FOLDER/{name}" in change for change in changes) == 1
