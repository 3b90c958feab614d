"""Resuming: what a run that goes on must agree on, and when there is nothing left to do."""

from dataclasses import replace
from pathlib import Path

from model.config import to_dict
from model.errors import CheckpointError, ConfigError
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
        differences += [
            f"{section}.{key} was {before[key]!r} and is {now[key]!r}"
            for key in now
            if now[key] != before[key] and f"{section}.{key}" not in free
        ]
    if differences:
        raise ConfigError(
            f"the run was begun with another config: {'; '.join(differences)}. Use its own "
            "config.yaml, or train into a new --output."
        )


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
