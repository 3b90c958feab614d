"""The short trainings of benchmarks.translator_steps: what they change is what their names say."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.translator_steps import BASELINE, CONFIG, SMALL, STEPS
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
        replace(plain, tokenizer=changed.tokenizer, model=of_vocabulary),
        replace(plain, model=changed.model, tokenizer=plain.tokenizer),
    ]
    assert parts.count(changed) == 1


def test_the_baseline_learns_from_single_clean_sentences_alone() -> None:
    data = config_of(BASELINE).data
    assert len(data.train) == 1 and data.joined == data.noise == 0
