"""Comparison of an average of checkpoints with the best single one, on the dev set of their run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.checkpoint.run_directory import resolve
from model.errors import CheckpointError, ConfigError
from training.metrics.names import LABELS
from training.validation.best import rank
from training.validation.dev_set import DevSet, load_dev_set, run_of
from training.validation.evaluation import Evaluation


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """An average and the best of the single checkpoints on the dev set of a run."""

    dev: DevSet
    average: Evaluation
    best: Evaluation
    best_path: Path

    def describe(self) -> str:
        """Describe both, a line each."""
        return (
            f"on the dev set of {self.dev.run}, {len(self.dev.pairs.sources):,} lines:\n"
            f"  {self.average.describe()}  the average\n"
            f"  {self.best.describe()}  {self.best_path}"
        )

    def warning(self) -> str | None:
        """Say that the average is worse, and what to do; None if it is not."""
        metric = self.dev.validation.best
        ours, theirs = self.average.value(metric), self.best.value(metric)
        if rank(metric, ours) >= rank(metric, theirs):
            return None
        digits = 3 if metric == "loss" else 2
        return (
            f"the average is worse than {self.best_path} by {LABELS[metric]}, {ours:.{digits}f} "
            f"against {theirs:.{digits}f}. Use that checkpoint, or average others: fewer "
            "(--last N), or the best (--best N)."
        )


def compare_with_best(
    average: Checkpoint, directories: Sequence[Path], device: torch.device
) -> Comparison:
    """Measure the average of the checkpoints `directories`, and the best checkpoint of their runs.

    The dev set is that of the run of the last one. The best of a run may be another than those that
    were averaged; a checkpoint that is in no run stands for itself.

    Raises:
        CheckpointError: the last one is in no run, or a run has lost its best checkpoint.
        ConfigError, DataError: the config or its dev set is not there, or damaged.
    """
    if average.config.has_vectors:
        raise ConfigError("vectors are not measured here. Use dragoman-evaluate.")
    run = run_of(directories[-1])
    if run is None:
        raise CheckpointError(f"{directories[-1]}: not in a run whose config.yaml names a dev set.")
    dev = load_dev_set(run)
    singles = {resolve(run_of(directory) or directory): None for directory in directories}
    measured = [(dev.evaluate(load_checkpoint(path), device), path) for path in singles]
    metric = dev.validation.best
    best, best_path = max(measured, key=lambda one: rank(metric, one[0].value(metric)))
    return Comparison(
        dev=dev, average=dev.evaluate(average, device), best=best, best_path=best_path
    )
