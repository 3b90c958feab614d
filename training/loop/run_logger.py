"""Run logger: what a run tells on the terminal, in metrics.jsonl and in its report."""

from collections.abc import Mapping
from pathlib import Path

import torch

from training.config.train_config import TrainConfig
from training.data.corpus_report import CorpusReport
from training.loop.trainer import Trainer, Update
from training.metrics.names import LABELS
from training.system.environment import environment, git_state
from training.system.memory_use import release_unused, resident_bytes
from training.tracking.metrics_log import MetricsLog
from training.tracking.progress_bar import TrainingProgress
from training.tracking.run_record import corpus_row, record_start
from training.tracking.samples import show_samples
from training.validation.evaluation import Evaluation


class RunLogger:
    """Of a session's first process, while it trains."""

    def __init__(
        self,
        run: Path,
        config: TrainConfig,
        trainer: Trainer,
        *,
        metrics: MetricsLog,
        progress: TrainingProgress,
    ) -> None:
        """What `trainer` does in the directory `run`."""
        self.run = run
        self.config = config
        self.trainer = trainer
        self.metrics = metrics
        self.progress = progress
        self.skipped_shown = 0

    def begin(
        self, corpora: Mapping[str, CorpusReport], facts: Mapping[str, str], device: torch.device
    ) -> None:
        """Keep for the report what the run reads, and where it begins or goes on.

        Raises:
            CheckpointError, DataError: see `record_start`.
        """
        record_start(
            self.run,
            self.trainer.steps,
            corpora=[corpus_row(name, report) for name, report in corpora.items()],
            facts={**facts, **environment(device)},
            git=git_state(Path(__file__)),
        )

    def updated(self, update: Update) -> None:
        """Show every update; write every `log_every`-th to the metrics."""
        steps = self.trainer.steps
        self.progress.update(
            steps,
            loss=update.loss,
            learning_rate=update.learning_rate,
            source_tokens=update.source_tokens,
            target_tokens=update.target_tokens,
        )
        if self.trainer.skipped > self.skipped_shown:
            self.skipped_shown = self.trainer.skipped
            self.progress.message(
                f"step {steps:,}: loss or gradient not finite, update skipped "
                f"({self.skipped_shown} so far)"
            )
        if steps % self.config.run.log_every:
            return
        release_unused()
        rates = self.progress.recent
        self.metrics.log(
            steps,
            {
                "loss": update.loss,
                "nll": update.nll,
                "learning_rate": update.learning_rate,
                "gradient_norm": update.gradient_norm,
                "source_tokens_per_s": rates.source_tokens_per_s,
                "target_tokens_per_s": rates.target_tokens_per_s,
                "skipped_updates": float(self.trainer.skipped),
                "rollbacks": float(self.trainer.guard.rollbacks),
                "memory_bytes": float(resident_bytes()),
            },
        )

    def validated(self, result: Evaluation, *, better: bool, seconds: float) -> None:
        """Write and show what a validation found, and how it translates."""
        steps = self.trainer.steps
        self.metrics.log(steps, result.figures())
        self.progress.message(
            f"step {steps:,}  {result.describe()}{'  best so far' if better else ''}  "
            f"({seconds:.0f} s)"
        )
        show_samples(
            result.samples,
            step=steps,
            run=self.run,
            metrics=self.metrics,
            say=self.progress.message,
        )

    def end(self) -> None:
        """Say the speed on average, and why the run ended."""
        rates, steps, run = self.progress.totals, self.trainer.steps, self.config.run
        self.progress.message(
            f"{rates.updates_per_s:.2f} updates/s, "
            f"{rates.source_tokens_per_s:,.0f}+{rates.target_tokens_per_s:,.0f} tokens/s on "
            "average, validation apart"
        )
        if steps < run.max_steps:
            self.progress.message(
                f"no better {LABELS[self.config.validation.best]} in {run.patience} validations: "
                f"stopped at step {steps}"
            )
