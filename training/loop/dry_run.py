"""`dragoman-train --dry-run` and `--check-data`: reports what a run would do, without running it.

The first reports sizes, memory and time; the second what the corpora of a config hold, what is left
out and why.
"""

import itertools
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from model.decoding.available_memory import available_bytes
from training.config.train_config import TrainConfig
from training.data.make_vocabulary import make_vocabulary
from training.data.sampler import epoch_counts
from training.data.text_corpus import encode_corpus, read_pairs
from training.data.training_set import load_training_set
from training.loop.any_session import AnySession
from training.loop.gradient_accumulation import TrainingRows
from training.loop.planner import REHEARSED_SHARE
from training.loop.step_plan import Measurement, StepPlan, timed_plan
from training.loop.train_loop import REHEARSED
from training.loop.trainer import AnyTrainer
from training.system.memory_use import peak_bytes

WARM_UP, TIMED = 5, 30  # updates
WEIGHT_BYTES = 4  # fp32
STATE_BYTES = 4 * WEIGHT_BYTES  # raw weight, average and two moments: what a resume needs


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """Speed and batches of a run, measured on its first updates."""

    update_s: float
    validation_s: float
    pairs: float
    """Mean number in a batch."""
    tokens: float
    """Mean number of source and target pieces in a batch, without padding."""

    def total_s(self, updates: int, eval_every: int) -> float:
        """Seconds that `updates` take with their validations."""
        return updates * self.update_s + -(-updates // eval_every) * self.validation_s


def dry_run(session: AnySession) -> list[str]:
    """Make the first updates of `session` and translate some sentences; return lines about the run.

    Every process must call this. Nothing is written.
    """
    trainer, run = session.trainer, session.config.run
    room = available_bytes(trainer.device)
    batches = list(itertools.islice(trainer.batches(), WARM_UP + TIMED))
    paces: list[Pace] = []
    memory: list[str] = []

    def work() -> None:
        paces.append(measure_pace(session, batches))

    if room:
        peak = peak_bytes(work, trainer.device)
        memory = [
            f"memory: {gigabytes(peak)} at the most in {len(batches)} updates and a validation, of "
            f"{gigabytes(room)} on {trainer.device} before them"
        ]
    else:  # a CPU on a system that does not report its memory
        work()
    (pace,) = paces
    plan = planned(session, pace)
    left = plan.steps - trainer.steps + len(batches)
    passes = left * pace.pairs / session.kept
    return [
        *session.describe_data(),
        *sizes(trainer),
        *memory,
        f"batches: {run.tokens:,} tokens at most with padding, on average {pace.pairs:,.0f} pairs "
        f"with {pace.tokens:,.0f} tokens; {left:,} updates are {passes:,.1f} passes over the data",
        f"speed: {pace.update_s:.3f} s an update, {pace.tokens / pace.update_s:,.0f} tokens/s",
        f"time: about {duration(pace.total_s(left, plan.interval))} for {left:,} updates and "
        f"validations of at most {pace.validation_s:.0f} s, every {plan.interval:,} updates",
    ]


def planned(session: AnySession, pace: Pace) -> StepPlan:
    """Plan the run, whose minutes begin with the dry run."""
    run, step = session.config.run, session.trainer.steps - WARM_UP - TIMED
    if run.max_minutes is None:
        return session.planner.plan
    measurement = Measurement(
        step=step,
        elapsed_s=session.planner.elapsed_s,
        update_s=pace.update_s,
        validation_s=min(pace.validation_s, REHEARSED_SHARE * 60 * run.max_minutes),
    )
    return session.world.shared(lambda: timed_plan(run, measurement))


def measure_pace(session: AnySession, batches: list[TrainingRows]) -> Pace:
    """Measure the mean update, and a validation by an untrained network, which is an upper bound.

    A network that has not learned to stop translates nearly everything to the greatest length, so
    that no later validation takes as long.
    """
    for rows in batches[:WARM_UP]:
        session.trainer.update(rows)
    started = time.perf_counter()
    updates = [session.trainer.update(rows) for rows in batches[WARM_UP:]]
    update_s = (time.perf_counter() - started) / len(updates)
    started = time.perf_counter()
    if session.world.leads:
        session.evaluate_dev(REHEARSED)
    validation_s = (time.perf_counter() - started) / min(REHEARSED, session.dev_size)
    lines = sum(rows.lines for rows in batches) / len(batches)
    return Pace(
        update_s=update_s,
        validation_s=validation_s * session.dev_size,
        pairs=lines * session.pairs_a_line,
        tokens=sum(u.source_tokens + u.target_tokens for u in updates) / len(updates),
    )


def sizes(trainer: AnyTrainer[Any, Any]) -> list[str]:
    """Describe the sizes of the network's parts and of what is saved."""
    parts = Counter[str]()
    for name, parameter in zip(trainer.names, trainer.parameters, strict=True):
        parts[name.partition(".")[0]] += parameter.numel()
    total = parts.total()
    named = ", ".join(f"{name} {size:,}" for name, size in parts.most_common())
    return [
        f"parameters: {total:,} ({named})",
        f"saved: {gigabytes(total * WEIGHT_BYTES)} of weights a model, "
        f"{gigabytes(total * (WEIGHT_BYTES + STATE_BYTES))} a checkpoint, which also holds what a "
        "resume needs",
    ]


def gigabytes(size: float) -> str:
    """Format `size` bytes for people."""
    return f"{size / 1e9:.2f} GB"


def duration(seconds: float) -> str:
    """Format a time, rounded to minutes, or to seconds below an hour."""
    return str(timedelta(seconds=round(seconds) if seconds < 3600 else 60 * round(seconds / 60)))


def check_data(config: TrainConfig) -> str:
    """Read all data as a run would, cache included; return a report for people.

    Raises:
        ConfigError, DataError, CheckpointError: as a run would.
    """
    data = config.data
    dev = read_pairs(data.dev, data)
    tokenizer = make_vocabulary(config)
    length = config.model.max_length
    training = load_training_set(data, tokenizer, max_length=length)
    sizes = [report.kept for report in training.reports]
    counts = epoch_counts(sizes, [corpus.weight for corpus in data.train], data.temperature)
    lines = [f"tokenizer: {tokenizer.vocab_size:,} pieces"]
    for name, report, count in zip(training.names, training.reports, counts, strict=True):
        lines.append(report.details(name))
        lines.append(f"  {count:,} pairs in an epoch, {count / report.kept:.2f} of this corpus")
    lines.append(encode_corpus(dev, tokenizer, max_length=None).report.describe("dev"))
    return "\n".join(lines)
