"""`dragoman-train`: train a model from a config into a run directory."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from model.cli import command_parser, run_command
from model.errors import CheckpointError
from training.config import TrainConfig, load_config

DESCRIPTION = """\
Train a translation model from parallel text: files of which line i of one translates line i of the
other, or files with columns.

RUN then holds checkpoints, config.yaml, metrics.jsonl, tensorboard/ and report.png. Ctrl-C saves;
the same command with --resume goes on. Translate with: dragoman-translate RUN
"""

EXAMPLE = """\
examples:
  dragoman-train configs/tatoeba_de_en.yaml --output runs/de-en
  dragoman-train configs/tatoeba_de_en.yaml --output runs/de-en run.max_steps=2000
  dragoman-train configs/tatoeba_de_en.yaml --check-data
"""


def parser() -> argparse.ArgumentParser:
    """The command line; every other setting is a key of the config."""
    command = command_parser("dragoman-train", DESCRIPTION, EXAMPLE)
    command.add_argument("config", metavar="CONFIG", type=Path, help="YAML file, see configs/")
    command.add_argument("--output", metavar="RUN", type=Path, help="run directory")
    command.add_argument("--resume", action="store_true", help="go on from the last save")
    command.add_argument(
        "--check-data",
        action="store_true",
        help="read the corpora, tell what is kept and what is left out and why, and stop",
    )
    command.add_argument(
        "overrides", metavar="section.key=value", nargs="*", help="change a key of the config"
    )
    return command


def train(config: TrainConfig, run: Path, *, resume: bool) -> int:
    """Train into `run`; the status is 0, or 128 + the number of the signal that stopped it.

    Raises:
        CheckpointError: the run exists and is neither finished nor resumed, or is in use.
    """
    from model.checkpoint import load_training_meta
    from model.run import lock_run
    from training.curves import save_report
    from training.resuming import check_same_config, is_finished
    from training.session import Session
    from training.signals import Interrupted

    report = run / "report.png"
    if (run / "last").exists():
        meta = load_training_meta(run)
        done = meta["trainer"]["steps"]
        if is_finished(config, done, meta["without_better"]):
            check_same_config(config, load_config(run / "config.yaml"))
            if not report.exists():  # killed between the last save and the report
                save_report(run / "metrics.jsonl", report)
            print(f"{run} is finished at step {done:,}. Raise run.max_steps to go on.")
            return 0
        if not resume:
            raise CheckpointError(
                f"{run} holds a run at step {done:,}. Add --resume to go on, or choose another "
                "--output."
            )
    with lock_run(run):
        session = Session(config, run, resume=resume)
        try:
            session.train()
        except Interrupted as stop:
            name = signal.Signals(stop.number).name
            saved = f"{name}: saved at step {session.trainer.steps:,}. Go on with --resume."
            print(saved, file=sys.stderr)
            return 128 + stop.number
        save_report(run / "metrics.jsonl", report)
    print(f"best BLEU {session.best_bleu:.2f} on the dev set. Translate: dragoman-translate {run}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""

    def command() -> int:
        line = parser()
        arguments = line.parse_intermixed_args(argv)
        if arguments.output is None and not arguments.check_data:
            line.error("--output RUN is missing")
        config = load_config(arguments.config, arguments.overrides)
        if arguments.check_data:
            from training.check_data import check_data

            print(check_data(config))
            return 0
        return train(config, arguments.output, resume=arguments.resume)

    return run_command("dragoman-train", command)


if __name__ == "__main__":
    sys.exit(main())
