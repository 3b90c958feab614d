"""Fine-tuning from files: the settings of a run that goes on from a trained model.

The model gives its sizes, languages and search options, and the config of its run, if there is one,
the learning rate and the dev set on which is measured what is forgotten.
"""

import glob
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.checkpoint.pretrained import in_box
from model.config import to_dict
from model.decoding.options import SearchOptions
from model.errors import ConfigError, DataError
from model.io.lines import atomic_output
from training.config.data_config import CorpusConfig, DataConfig
from training.config.search_of_task import with_search_of
from training.config.train_config import TrainConfig, load_config
from training.data.text_corpus import sample_pairs
from training.from_files.choose_settings import (
    BATCH_TOKENS,
    Setting,
    Statistics,
    choose_average,
    choose_log,
    minutes_of_passes,
)
from training.from_files.data_settings import DividedData
from training.from_files.given_files import GivenFiles
from training.from_files.machine_speed import measure_speed
from training.from_files.measure_lengths import measure_lengths
from training.system.distributed import usable_cores
from training.validation.dev_set import run_named

SLOWER = 0.2
"""Share of the learning rate of the first training: enough to learn, little to forget."""
USUAL_RATE = 0.005  # of the shipped configs, where the first training is not known
FEWEST_MINUTES, MOST_MINUTES = 5, 60
OLD_DEV_PAIRS = 500
"""Pairs at most of the old dev set: it is translated at each validation."""
OLD_DEV_FILES = ("old_dev.source", "old_dev.target")


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """The model that a fine-tuning goes on from."""

    path: Path
    checkpoint: Checkpoint
    trained_by: TrainConfig | None
    """The config of its run; None for a checkpoint without one."""


def load_base(path: Path) -> Base:
    """Load the model at `path`: a run, a checkpoint, a pack or the name of a model in the box.

    Raises:
        CheckpointError: there is none, or it is damaged.
        ConfigError: the config of its run is damaged.
    """
    path = in_box(path)
    return Base(path=path, checkpoint=load_checkpoint(path), trained_by=find_config(path))


def find_config(path: Path) -> TrainConfig | None:
    """Load the config of the run that `path` is, or a checkpoint of; None if there is none.

    Raises:
        ConfigError: it is damaged.
    """
    run = run_named(path)
    return load_config(run / "config.yaml") if run else None


def as_trained(given: GivenFiles, base: Base) -> GivenFiles:
    """Add the task of the model, and its languages unless others are given.

    Raises:
        ConfigError: another task is given.
    """
    profile = base.checkpoint.profile
    if given.task not in (None, profile.task):
        raise ConfigError(f"--task {given.task}: the model of --from is for {profile.task}.")
    return replace(
        given,
        task=profile.task,
        source_language=given.source_language or profile.source_language or None,
        target_language=given.target_language or profile.target_language or None,
    )


def fine_tune_settings(
    base: Base, data: DividedData, *, minutes: float | None, device: torch.device
) -> list[Setting]:
    """Choose every setting but those of the data."""
    checkpoint = base.checkpoint
    statistics = measure_lengths(data, checkpoint.tokenizer)
    speed = measure_speed(checkpoint.config, statistics, device, cores=usable_cores())
    if minutes is None:
        wanted: float = fine_tuning_minutes(statistics, speed.pieces_per_s)
        why = "ten passes over the data, but 5 to 60 minutes; see --minutes"
    else:
        wanted, why = minutes, "--minutes"
    return [
        *length_settings(base),
        *network_settings(base),
        *training_settings(
            base,
            statistics,
            minutes=wanted,
            pieces_per_s=speed.pieces_per_s,
            batch_tokens=BATCH_TOKENS,
        ),
        Setting("run.max_minutes", wanted, why),
        Setting("run.batch_tokens", BATCH_TOKENS, "source and target pieces of an update"),
        *speed.settings(),
        *search_settings(base),
    ]


def old_dev_settings(
    base: Base,
    given: CorpusConfig | None,
    data: DataConfig,
    folder: Path,
    say: Callable[[str], None],
) -> list[Setting]:
    """Copy some of the old dev set, the one that is given or that of the old run, to `folder`.

    Args:
        data: where the paths of `given` start.

    Raises:
        DataError: what is given cannot be read, or the copy cannot be written.
    """
    if given is not None:
        old_dev = given
    elif base.trained_by is not None:
        old_dev, data = base.trained_by.data.dev, base.trained_by.data
    else:
        say("old dev set: unknown. --old-dev-source and --old-dev-target name it")
        return []
    try:
        pairs = sample_pairs([old_dev], data, most=OLD_DEV_PAIRS)
    except DataError as error:
        if given is not None:
            raise
        say(f"old dev set: not at hand ({error}) --old-dev-source and --old-dev-target name it")
        return []
    for name, lines in zip(OLD_DEV_FILES, (pairs.sources, pairs.targets), strict=True):
        with atomic_output(folder / name) as file:
            file.writelines(f"{line}\n".encode() for line in lines)
    source, target = (glob.escape(str((folder / name).resolve())) for name in OLD_DEV_FILES)
    why = f"{len(pairs.sources):,} pairs, on which is measured what is forgotten"
    corpus = {"source": source, "target": target} | ({"tag": old_dev.tag} if old_dev.tag else {})
    return [Setting("finetune.old_dev", corpus, why)]


def network_settings(base: Base) -> list[Setting]:
    """The sizes of the network, as they are."""
    values = to_dict(base.checkpoint.config)
    return [
        Setting(f"model.{name}", value, "of the model" if number == 0 else "likewise")
        for number, (name, value) in enumerate(values.items())
        if name != "vocab_size"
    ]


def length_settings(base: Base) -> list[Setting]:
    """The number of length buckets, if the model has any; their boundaries are counted anew."""
    boundaries = base.checkpoint.profile.length_buckets
    if not boundaries:
        return []
    return [Setting("data.length_buckets", len(boundaries) + 1, "of the model")]


def init_setting(base: Base) -> Setting:
    """What the run begins with."""
    return Setting(
        "finetune.init_from", str(base.path.resolve()), "--from: the model to go on from"
    )


def search_settings(base: Base) -> list[Setting]:
    """The search options of the model, where they are not the usual ones."""
    usual = to_dict(SearchOptions()) | with_search_of(base.checkpoint.profile.task, {})
    found = to_dict(base.checkpoint.search)
    return [
        Setting(f"search.{name}", value, "of the model")
        for name, value in found.items()
        if value != usual[name]
    ]


def fine_tuning_minutes(statistics: Statistics, pieces_per_s: float) -> int:
    """Choose the minutes, for about ten passes: 5 at least, 60 at the most."""
    return minutes_of_passes(statistics, pieces_per_s, fewest=FEWEST_MINUTES, most=MOST_MINUTES)


def training_settings(
    base: Base, statistics: Statistics, *, minutes: float, pieces_per_s: float, batch_tokens: int
) -> list[Setting]:
    """Choose what depends on the time and on the first training."""
    old = base.trained_by.optimizer if base.trained_by else None
    rate = (old.learning_rate if old else USUAL_RATE) * SLOWER
    updates = max(int(60 * minutes * pieces_per_s / batch_tokens), 1)
    passes = updates * batch_tokens / statistics.pieces
    before = "that of the first training" if old else f"the usual {USUAL_RATE}"
    return [
        Setting("optimizer.learning_rate", rate, f"peak; a fifth of {before}"),
        Setting(
            "optimizer.warmup_steps",
            min(max(updates // 10, 1), 50),
            f"of about {updates:,} updates, {passes:,.1f} passes over the data",
        ),
        Setting(
            "optimizer.ema", choose_average(updates, parts=10), "a tenth of the updates is averaged"
        ),
        choose_log(updates),
        init_setting(base),
        Setting("shortlist.candidates", 0, "dragoman-shortlist makes one of the old and new text"),
    ]
