"""Run logger: reports on a run on the terminal, in metrics.jsonl and in its report."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from model.decoding.freed_memory import release_unused
from model.decoding.precision.precision import precision_of
from training.loop.any_session import AnySession
from training.loop.gradient_accumulation import TrainingRows
from training.loop.loss_spikes import SpikeDetector
from training.loop.trainer import Update
from training.metrics.names import LABELS
from training.system.environment import environment, git_state
from training.system.memory_use import resident_bytes
from training.tracking.fine_tuning import before_figures, old_figures
from training.tracking.metrics_log import MetricsLog
from training.tracking.progress_bar import TrainingProgress
from training.tracking.run_record import (
    corpus_row,
    read_record,
    record_saved,
    record_spike,
    record_start,
    stands_out,
)
from training.tracking.samples import show_samples
from training.validation.evaluation import Evaluation


class RunLogger:
    """Reports on a session while it trains; only the first process has one."""

    def __init__(
        self, session: AnySession, *, metrics: MetricsLog, progress: TrainingProgress
    ) -> None:
        """Report to `metrics` and `progress`, which are open."""
        self.session = session
        self.config = session.config
        self.trainer = session.trainer
        self.metrics = metrics
        self.progress = progress
        self.skipped_shown = 0
        self.spikes = SpikeDetector(
            self.trainer.divergence.good, clip_norm=self.config.optimizer.clip_norm
        )

    def say(self, line: str) -> None:
        """Show a line on the terminal, above the progress bar."""
        self.progress.message(line)

    def begin(self, learned: Sequence[str]) -> None:
        """Describe what is trained on what, and record it for the report.

        Args:
            learned: lines on what was learned beforehand.

        Raises:
            CheckpointError, DataError: see `record_start`.
        """
        session = self.session
        size = session.describe_size()
        precision = precision_of(self.trainer.dtype)
        for line in describe_session(session, learned, size=size, precision=precision):
            self.say(line)
        record_start(
            session.run,
            self.trainer.steps,
            corpora=[corpus_row(name, report) for name, report in session.reports.items()],
            facts={
                "model": size,
                "precision": precision,
                "processes": str(session.world.size),
                **environment(self.trainer.device),
            },
            git=git_state(Path(__file__)),
        )

    def updated(self, update: Update, rows: TrainingRows) -> None:
        """Show the update by `rows`; write every `log_every`-th to the metrics, record a spike.

        Raises:
            CheckpointError, DataError: the file system refused.
        """
        steps = self.trainer.steps
        planner = self.session.planner
        self.progress.plan(planner.plan.steps, ends_at=planner.ends_at)
        self.progress.update(
            steps,
            loss=update.loss,
            learning_rate=update.learning_rate,
            source_tokens=update.source_tokens,
            target_tokens=update.target_tokens,
        )
        if self.trainer.skipped > self.skipped_shown:
            self.skipped_shown = self.trainer.skipped
            self.say(
                f"step {steps:,}: loss or gradient not finite, update skipped "
                f"({self.skipped_shown} so far)"
            )
        self._watch(update, rows)
        if steps % self.config.run.log_every:
            return
        mean_loss, mean_nll = self.trainer.window.means
        release_unused()
        rates = self.progress.recent
        self.metrics.log(
            steps,
            {
                "loss": update.loss,
                "nll": update.nll,
                "mean_loss": mean_loss,
                "mean_nll": mean_nll,
                "learning_rate": update.learning_rate,
                "gradient_norm": update.gradient_norm,
                "source_tokens_per_s": rates.source_tokens_per_s,
                "target_tokens_per_s": rates.target_tokens_per_s,
                "skipped_updates": float(self.trainer.skipped),
                "rollbacks": float(self.trainer.divergence.rollbacks),
                "memory_bytes": float(resident_bytes()),
            },
        )

    def _watch(self, update: Update, rows: TrainingRows) -> None:
        """Record the batch of an update that stands out."""
        spike = self.spikes.watch(update.nll, update.gradient_norm)
        if spike and stands_out(read_record(self.session.run), spike.excess):
            explained = self.session.explain(spike, update, rows)
            if explained:
                record_spike(self.session.run, explained)

    def saved(self) -> None:
        """Record that a checkpoint was saved, and when.

        Raises:
            CheckpointError, DataError: see `record_saved`.
        """
        record_saved(self.session.run, self.trainer.steps)

    def begun_with(self, result: Evaluation, old: Evaluation | None) -> None:
        """Write and show the scores of the model that a fine-tuning begins with."""
        self.metrics.log(0, before_figures(result, old))
        self.say(f"before fine-tuning  {result.describe()}")
        if old:
            self.say(f"on the old dev set  {old.describe()}")

    def validated(
        self, result: Evaluation, old: Evaluation | None, *, better: bool, seconds: float
    ) -> None:
        """Write and show the scores of a validation, and some of its translations."""
        steps = self.trainer.steps
        figures = result.figures() | {"dev_seconds": seconds}
        self.metrics.log(steps, figures | (old_figures(old) if old else {}))
        self.say(
            f"step {steps:,}  {result.describe()}{'  best so far' if better else ''}  "
            f"({seconds:.0f} s)"
        )
        if old:
            self.say(f"on the old dev set  {old.describe()}")
        show_samples(
            result.samples,
            step=steps,
            run=self.session.run,
            metrics=self.metrics,
            say=self.say,
        )

    def end(self) -> None:
        """Show the mean speed, and why the run ended."""
        rates, steps, run = self.progress.totals, self.trainer.steps, self.config.run
        self.say(
            f"{rates.updates_per_s:.2f} updates/s, "
            f"{rates.source_tokens_per_s:,.0f}+{rates.target_tokens_per_s:,.0f} tokens/s on "
            "average, validation apart"
        )
        if steps < self.session.planner.plan.steps:
            self.say(
                f"no better {LABELS[self.config.validation.best]} in {run.patience} validations: "
                f"stopped at step {steps}"
            )


@contextmanager
def open_logger(session: AnySession) -> Iterator[RunLogger]:
    """Open metrics and progress for a session that begins or goes on.

    Raises:
        CheckpointError, DataError: see `MetricsLog`.
    """
    run, start = session.config.run, session.trainer.steps
    with (
        MetricsLog(session.run, resume_step=start or None) as metrics,
        TrainingProgress(
            max_steps=run.max_steps or 0, start_step=start, log_every=run.log_every
        ) as progress,
    ):
        yield RunLogger(session, metrics=metrics, progress=progress)


def describe_session(
    session: AnySession, learned: Sequence[str], *, size: str, precision: str
) -> list[str]:
    """Lines on what is trained on what, and from where, before the first update."""
    trainer, world = session.trainer, session.world
    lines = [*session.describe_data(), session.reports["dev"].describe("dev"), *learned]
    lines.append(
        f"model: {size}; {trainer.device}, {precision}, {torch.get_num_threads()} threads, "
        f"batches of {session.config.run.tokens:,} tokens"
        + (f", {world.size} processes" if world.size > 1 else "")
    )
    if trainer.steps:
        lines.append(f"resumed at step {trainer.steps:,}")
    elif session.resume:
        lines.append(f"nothing to resume in {session.run}: starting")
    elif begun_from := session.config.finetune.init_from:
        frozen = sum(p.numel() for p in trainer.parameters if not p.requires_grad)
        lines.append(f"begun with the weights of {begun_from}; {frozen:,} of them are frozen")
    return lines
