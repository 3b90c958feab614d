"""Resuming: what a run that goes on must agree on, and when there is nothing left to do."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from model.config import to_dict
from model.errors import CheckpointError, ConfigError, DataError
from training.config import TrainConfig, load_config
from training.distributed import World


def is_finished(config: TrainConfig, steps: int, without_better: int) -> bool:
    """Whether a run has done `max_steps`, or waited `patience` validations for a better one."""
    run = config.run
    return steps >= run.max_steps or 0 < run.patience <= without_better


def check_same_config(given: TrainConfig, stored: TrainConfig) -> None:
    """A resumed run keeps its network, its data and their order.

    The optimizer may change (after a divergence), and so may the length and rhythm of the run. So
    may the shortlist, which the training does not use, and the metrics that are only looked at.

    Raises:
        ConfigError: naming each difference.
    """
    free = {f"run.{key}" for key in to_dict(given.run)} - {"run.batch_tokens", "run.seed"}
    free |= {"data.cache_dir", "validation.metrics"}
    if given.run.batch_tokens == "auto":
        free |= {"run.batch_tokens"}  # it goes on with what was found
    differences = []
    sections = ("data", "tokenizer", "model", "objective", "finetune", "validation")
    for section in (*sections, "search", "run"):
        now, before = to_dict(getattr(given, section)), to_dict(getattr(stored, section))
        for key in now:
            if f"{section}.{key}" not in free:
                differences += _differences(f"{section}.{key}", before[key], now[key])
    if differences:
        raise ConfigError(
            f"the run was begun with another config: {'; '.join(differences)}. Use its own "
            "config.yaml, or train into a new --output."
        )


def _differences(path: str, before: object, now: object) -> list[str]:
    """What differs, down to single keys of corpora and filters."""
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = [(f"{path}.{key}", before[key], now[key]) for key in now]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        both = enumerate(zip(before, now, strict=True))
        pairs = [(f"{path}[{number}]", *values) for number, values in both]
    else:
        return [f"{path} was {before!r} and is {now!r}"] if before != now else []
    return [line for pair in pairs for line in _differences(*pair)]


def with_batch_tokens(config: TrainConfig, tokens: int) -> TrainConfig:
    """`config` with the number that `run.batch_tokens: auto` has come to."""
    return replace(config, run=replace(config.run, batch_tokens=tokens))


def with_found_batch_tokens(config: TrainConfig, run: Path) -> TrainConfig:
    """`config` with the `run.batch_tokens` that `run` was begun with, if it asks for auto.

    Also a run that was killed before its first checkpoint must train the same again.
    """
    path = run / "config.yaml"
    if config.run.batch_tokens != "auto" or not path.exists():
        return config
    return with_batch_tokens(config, load_config(path).run.tokens)


def check_same_data(now: Mapping[str, str], before: Mapping[str, Any]) -> None:
    """A resumed run reads what it read before: other dev files would give other scores.

    Args:
        now: digests, by the name that a checkpoint has for them.
        before: the values of a checkpoint; an older one has no `dev_digest`.

    Raises:
        DataError: naming which files changed.
    """
    for name, files in (("data_digest", "training"), ("dev_digest", "dev")):
        if before.get(name, now[name]) != now[name]:
            raise DataError(
                f"--resume: the {files} files are not those that the run began with. Put them "
                "back, or train into a new --output."
            )


def check_same_step(run: Path, steps: int, world: World) -> None:
    """Every process must begin at the same step.

    Raises:
        CheckpointError: this one found another checkpoint than the first.
    """
    first = world.shared(lambda: steps)
    if steps != first:
        raise CheckpointError(
            f"{run}: process {world.rank} finds step {steps:,} there, the first process {first:,}. "
            "Put --output on a file system that all machines share."
        )
