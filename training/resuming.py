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


def as_begun(config: TrainConfig, run: Path, *, saved: bool, world: World) -> TrainConfig:
    """`config` with the `run.batch_tokens` that `run` was begun with, if it asks for auto.

    Also a run that was killed before its first checkpoint must train the same again. All processes
    go by the config.yaml that the first one finds.

    Args:
        saved: there is a checkpoint.

    Raises:
        ConfigError: of another config than this one.
    """
    path = run / "config.yaml"
    stored = world.shared(lambda: load_config(path) if saved or path.exists() else None)
    if stored is None:
        return config
    if config.run.batch_tokens == "auto":
        config = with_batch_tokens(config, stored.run.tokens)
    if saved:
        check_same_config(config, stored)
    return config


DATA = {"data_digest": "the training files", "dev_digest": "the dev files"}
"""What a digest of a checkpoint's values is of."""


def check_same_data(now: Mapping[str, str], before: Mapping[str, Any]) -> None:
    """A resumed run reads what it read before: other dev files would give other scores.

    Args:
        now: digests, by the name that a checkpoint has for them.
        before: the values of a checkpoint; an older one has no `dev_digest`.

    Raises:
        DataError: naming which files changed.
    """
    for name, files in DATA.items():
        if before.get(name, now[name]) != now[name]:
            raise DataError(
                f"--resume: {files} are not those that the run began with. Put them back, or train "
                "into a new --output."
            )


def check_shared_data(digests: Mapping[str, str], world: World) -> None:
    """Processes of one training read the same: each takes its share of what it has itself.

    Raises:
        DataError: this one reads something else than the first.
    """
    first = world.shared(lambda: digests)
    for name, files in DATA.items():
        if digests[name] != first[name]:
            raise DataError(
                f"process {world.rank}: {files} are not those of the first process. Give every "
                "machine the same files."
            )


def check_same_step(run: Path, steps: int, world: World) -> None:
    """Every process must begin at the same step.

    Raises:
        CheckpointError: this one found another checkpoint than the first.
    """
    first = world.shared(lambda: steps)
    if steps != first:
        raise CheckpointError(
            f"process {world.rank} finds step {steps:,} in {run}, the first process {first:,}. Put "
            "--output on a file system that all machines share."
        )
