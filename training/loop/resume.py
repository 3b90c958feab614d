"""Resume: the saved state from which a run continues, and the settings that must not change."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from model.checkpoint.checkpoint import load_origin, load_training_state, load_vocabulary
from model.config import to_dict
from model.errors import CheckpointError, ConfigError, DataError
from model.text.vocabulary import Vocabulary
from training.config.train_config import RunConfig, TrainConfig
from training.loop.saved_values import check_values
from training.loop.step_plan import planned_by_time
from training.system.distributed import World


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedState:
    """The part of a run's last checkpoint that a resumed training needs."""

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]
    tokenizer: Vocabulary
    origin: str | None

    @property
    def steps(self) -> int:
        """Number of updates done when it was saved."""
        steps: int = self.values["trainer"]["steps"]
        return steps


def load_saved_state(run: Path) -> SavedState | None:
    """Load the last checkpoint of `run`; None if there is none.

    Raises:
        CheckpointError: it is damaged, or its format is too new.
    """
    last = run / "last"
    if not last.exists():
        return None
    tensors, values = load_training_state(run)
    check_values(values, last)
    tokenizer, origin = load_vocabulary(last), load_origin(last)
    return SavedState(tensors=tensors, values=values, tokenizer=tokenizer, origin=origin)


def is_finished(
    run: RunConfig, *, steps: int, without_better: int, planned: Mapping[str, Any] | None
) -> bool:
    """Whether a saved run is done: its updates, its minutes, or its patience.

    Args:
        planned: state of its planner; None if it had no minutes.
    """
    if steps >= (run.max_steps or math.inf) or 0 < run.patience <= without_better:
        return True
    by_time = planned_by_time(run, planned)
    return by_time is not None and steps >= by_time


def check_same_config(given: TrainConfig, stored: TrainConfig) -> None:
    """Make sure that a resumed run keeps its network, its data and their order.

    The optimizer may change (after a divergence), and so may the length and rhythm of the run. So
    may the shortlist (without guided alignment), the metrics that are only reported, and the
    folders of data and cache: the content is compared by `check_same_data`.

    Raises:
        ConfigError: naming each difference.
    """
    if differences := config_differences(given, stored):
        raise ConfigError(
            f"the run was begun with another config: {'; '.join(differences)}. Use its own "
            "config.yaml, or train into a new --output."
        )


def config_differences(given: TrainConfig, stored: TrainConfig) -> list[str]:
    """List the keys that differ and may not, with both values; see `check_same_config`."""
    free = {f"run.{key}" for key in to_dict(given.run)} - {"run.batch_tokens", "run.seed"}
    free |= {"data.data_dir", "data.cache_dir", "validation.metrics"}
    if given.run.batch_tokens == "auto":
        free |= {"run.batch_tokens"}  # it continues with the size that was found
    if given.tokenizer.vocab_size == "auto":
        free |= {"tokenizer.vocab_size"}  # it continues with the tokenizer that was learned
    if "auto" in (given.validation.tokenize, stored.validation.tokenize):
        free |= {"validation.tokenize"}  # follows from the data, which are compared
    differences = []
    sections = ("data", "tokenizer", "model", "objective", "finetune", "validation")
    for section in ("source", "target", *sections, "search", "run"):
        now, before = to_dict(getattr(given, section)), to_dict(getattr(stored, section))
        for key in now:
            if f"{section}.{key}" not in free:
                differences += _differences(f"{section}.{key}", before[key], now[key])
    if given.objective.guided_alignment:  # `max_links` determines the table that it learns from
        most = (stored.shortlist.max_links, given.shortlist.max_links)
        differences += _differences("shortlist.max_links", *most)
    return differences


def _differences(path: str, before: object, now: object) -> list[str]:
    """Compare two values of a key, down to single keys of corpora and filters."""
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = [(f"{path}.{key}", before[key], now[key]) for key in now]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        both = enumerate(zip(before, now, strict=True))
        pairs = [(f"{path}[{number}]", *values) for number, values in both]
    else:
        return [f"{path} was {before!r} and is {now!r}"] if before != now else []
    return [line for pair in pairs for line in _differences(*pair)]


DATA = {
    "data_digest": "the training files",
    "dev_digest": "the dev files",
    "old_dev_digest": "the files of finetune.old_dev",
    "teacher_digest": "the models of objective.teacher",
}
"""The files that each digest in a checkpoint covers."""


def check_same_data(now: Mapping[str, str], before: Mapping[str, Any]) -> None:
    """Make sure that a resumed run has the data, the dev set and the teacher that it began with.

    Args:
        now: digests by their names in a checkpoint.
        before: values of a checkpoint; older ones lack some digests.

    Raises:
        DataError: naming what has changed.
    """
    for name, files in DATA.items():
        if before.get(name, now[name]) != now[name]:
            raise DataError(
                f"--resume: {files} are not those that the run began with. Put them back, or train "
                "into a new --output."
            )


def check_shared_data(digests: Mapping[str, str], world: World) -> None:
    """Make sure that this process has the data of the first one: each takes its share of its own.

    Raises:
        DataError: it has others.
    """
    first = world.shared(lambda: digests)
    for name, files in DATA.items():
        if digests[name] != first[name]:
            raise DataError(
                f"process {world.rank}: {files} are not those of the first process. Give every "
                "machine the same files."
            )


def check_same_step(run: Path, steps: int, world: World) -> None:
    """Make sure that this process begins at the same step as the first one.

    Raises:
        CheckpointError: this one found another checkpoint than the first.
    """
    first = world.shared(lambda: steps)
    if steps != first:
        raise CheckpointError(
            f"process {world.rank} finds step {steps:,} in {run}, the first process {first:,}. Put "
            "--output on a file system that all machines share."
        )
