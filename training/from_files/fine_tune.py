"""Fine-tuning from files: the settings of a run that goes on from a trained model.

The model gives its sizes, languages and search options, and the config of its run, if there is one,
the learning rate and the dev set on which is measured what is forgotten.
"""

import glob
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.config import to_dict
from model.decoding.options import SearchOptions
from model.errors import DataError
from model.io.lines import atomic_output
from training.config.data_config import CorpusConfig, DataConfig
from training.config.search_of_task import with_search_of
from training.config.train_config import OptimizerConfig, TrainConfig, load_config
from training.data.text_corpus import sample_pairs
from training.from_files.choose_settings import Setting, Statistics, choose_log

SLOWER = 0.2
"""Share of the learning rate of the first training: enough to learn, little to forget."""
USUAL_RATE = 0.005  # of the shipped configs, where the first training is not known
PASSES_WANTED, FEWEST_MINUTES, MOST_MINUTES = 10, 5, 60
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
    """Load the model at `path`, a run or a checkpoint.

    Raises:
        CheckpointError: there is none, or it is damaged.
        ConfigError: the config of its run is damaged.
    """
    return Base(path=path, checkpoint=load_checkpoint(path), trained_by=find_config(path))


def find_config(path: Path) -> TrainConfig | None:
    """Load the config of the run that `path` is, or a checkpoint of; None if there is none.

    Raises:
        ConfigError: it is damaged.
    """
    for folder in (path, path.resolve().parent.parent):
        if (folder / "config.yaml").exists():
            return load_config(folder / "config.yaml")
    return None


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
    try:
        if given is not None:
            pairs = sample_pairs([given], data, most=OLD_DEV_PAIRS)
        elif base.trained_by is not None:
            old = base.trained_by.data
            pairs = sample_pairs([old.dev], old, most=OLD_DEV_PAIRS)
        else:
            say("old dev set: unknown. --old-dev-source and --old-dev-target name it")
            return []
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
    return [Setting("finetune.old_dev", {"source": source, "target": target}, why)]


def network_settings(base: Base) -> list[Setting]:
    """The sizes of the network, as they are."""
    values = to_dict(base.checkpoint.config)
    return [
        Setting(f"model.{name}", value, "of the model" if number == 0 else "likewise")
        for number, (name, value) in enumerate(values.items())
        if name != "vocab_size"
    ]


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
    wanted = PASSES_WANTED * statistics.pieces / pieces_per_s / 60
    return min(max(5 * math.ceil(wanted / 5), FEWEST_MINUTES), MOST_MINUTES)


def training_settings(
    base: Base, statistics: Statistics, *, minutes: float, pieces_per_s: float, batch_tokens: int
) -> list[Setting]:
    """Choose what depends on the time and on the first training."""
    old = base.trained_by.optimizer if base.trained_by else None
    rate = (old.learning_rate if old else USUAL_RATE) * SLOWER
    updates = max(int(60 * minutes * pieces_per_s / batch_tokens), 1)
    average = min(OptimizerConfig().ema, max(0.9, math.floor(1000 * (1 - 10 / updates)) / 1000))
    passes = updates * batch_tokens / statistics.pieces
    before = "that of the first training" if old else f"the usual {USUAL_RATE}"
    return [
        Setting("optimizer.learning_rate", rate, f"peak; a fifth of {before}"),
        Setting(
            "optimizer.warmup_steps",
            min(max(updates // 10, 1), 50),
            f"of about {updates:,} updates, {passes:,.1f} passes over the data",
        ),
        Setting("optimizer.ema", average, "a tenth of the updates is averaged"),
        choose_log(updates),
        Setting("finetune.init_from", str(base.path.resolve()), "--from: the model to go on from"),
        Setting("shortlist.candidates", 0, "dragoman-shortlist makes one of the old and new text"),
    ]
