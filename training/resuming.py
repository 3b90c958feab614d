"""Resuming: what a run that goes on must agree on, and when there is nothing left to do."""

from model.config import to_dict
from model.errors import ConfigError
from training.config import TrainConfig


def is_finished(config: TrainConfig, steps: int, without_better: int) -> bool:
    """Whether a run has done `max_steps`, or waited `patience` validations for a better BLEU."""
    run = config.run
    return steps >= run.max_steps or 0 < run.patience <= without_better


def check_same_config(given: TrainConfig, stored: TrainConfig) -> None:
    """A resumed run keeps its network, its data and their order.

    The optimizer may change (after a divergence), and so may the length and rhythm of the run. So
    may the shortlist, which the training does not use.

    Raises:
        ConfigError: naming each difference.
    """
    free = {f"run.{key}" for key in to_dict(given.run)} - {"run.batch_tokens", "run.seed"}
    free.add("data.cache_dir")
    differences = []
    for section in ("data", "tokenizer", "model", "search", "run"):
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
