"""The training loop: batch, update, log, divergence, validation and save, stop signal."""

import time
from collections.abc import Sequence

from model.config import to_dict
from training.config.train_config import load_config, save_config
from training.loop.any_session import AnySession
from training.loop.run_logger import RunLogger, open_logger
from training.loop.signals import Interrupted, stop_signals
from training.tracking.fine_tuning import recorded_before
from training.tracking.metrics_log import read_metrics

REHEARSED = 64
"""Dev sentences that are translated before the first update: a validation that cannot work fails
then, not after a thousand updates, and its memory is taken from the beginning."""


def train(session: AnySession) -> None:
    """Train a session to its end; every process must call this.

    Raises:
        Interrupted: see `loop`.
        TrainingDiverged: see `Rollback.roll_back`.
    """
    if not session.world.leads:
        with stop_signals() as received:
            loop(session, None, received)
        return
    write_config(session)
    learned = session.prepare()
    with open_logger(session) as logger, stop_signals() as received:
        logger.begin(learned)
        rehearse(session)
        measure_before(session, logger)
        loop(session, logger, received)
        logger.end()


def write_config(session: AnySession) -> None:
    """Write the config of the run, unless it stands there: perhaps with comments of its own."""
    path = session.run / "config.yaml"
    if not path.exists() or to_dict(load_config(path)) != to_dict(session.config):
        save_config(session.config, path)


def rehearse(session: AnySession) -> None:
    """Translate the first dev sentences; see `REHEARSED`."""
    started = time.perf_counter()
    session.evaluate_dev(REHEARSED)
    share = session.dev_size / min(REHEARSED, session.dev_size)
    session.planner.rehearsed((time.perf_counter() - started) * share)


def measure_before(session: AnySession, logger: RunLogger) -> None:
    """Evaluate the model that a fine-tuning begins with; a resumed one has that in its metrics."""
    if session.config.finetune.init_from is None:
        return
    if not session.trainer.steps:
        started = time.perf_counter()
        with logger.progress.paused():
            logger.begun_with(session.evaluate_dev(), session.evaluate_old_dev())
        session.planner.measured(time.perf_counter() - started)
    session.before = recorded_before(read_metrics(session.run / "metrics.jsonl"))


def loop(session: AnySession, logger: RunLogger | None, received: Sequence[int]) -> None:
    """Train to the end of the plan, or until patience runs out; validate and save on the way.

    Args:
        logger: of the first process, which also validates and saves; None in the others.
        received: numbers of the stop signals so far; grows meanwhile.

    Raises:
        Interrupted: after a stop signal to any process, when the state is saved.
        TrainingDiverged: see `Rollback.roll_back`.
    """
    trainer, best, world, planner = session.trainer, session.best, session.world, session.planner
    batches = trainer.batches()
    planner.begin(trainer.steps)
    while not session.finished:
        rows = next(batches)
        update = trainer.update(rows)
        trainer.plan = planner.updated(trainer.steps)
        if logger:
            logger.updated(update, rows)

        if trainer.divergence.diverged:
            message = session.rollback.roll_back()
            if logger:
                logger.say(message)

        due = planner.due(trainer.steps)
        if due:
            with planner.validation(trainer.steps):
                if logger:
                    validate(session, logger)
            best.without_better = world.shared(lambda: best.without_better)
            session.rollback.saved()

        stop = world.highest(received[0] if received else 0)
        if stop and not session.finished:
            if logger and not due:
                session.save(evaluation=None)
                logger.saved()
            raise Interrupted(stop)


def validate(session: AnySession, logger: RunLogger) -> None:
    """Evaluate the averaged weights on the dev set, log, save, and move the links."""
    with logger.progress.paused():
        started = time.perf_counter()
        result, old_result = session.evaluate_dev(), session.evaluate_old_dev()
        better = session.best.offer(result.value(session.best.metric))
        seconds = time.perf_counter() - started
        logger.validated(result, old_result, better=better, seconds=seconds)
        session.save(evaluation=result, old_evaluation=old_result, best=better)
        logger.saved()
