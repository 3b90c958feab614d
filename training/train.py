"""`dragoman-train`: train a model from a config into a run directory."""

if __name__ == "__main__":  # before the imports, which take seconds
    from training import commands

    commands.train()

import argparse
import math
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from model.cli.command import command_parser, run_command
from model.cli.paths import Place, checkpoint_places, refuse_overwriting
from model.errors import CheckpointError
from training.config.train_config import TrainConfig, load_config
from training.from_files.arguments import add_file_arguments, given_files
from training.from_files.given_files import GivenFiles

if TYPE_CHECKING:
    from training.loop.any_session import AnySession
    from training.system.distributed import World

DESCRIPTION = """\
Train a translation model from parallel text: files of which line i of one translates line i of the
other, or files with columns. Without a CONFIG, --source and --target (or --tsv) suffice: a dev set
is split off, every setting is found, and written with its reason to RUN/config.yaml.

RUN then holds checkpoints, config.yaml, metrics.jsonl, tensorboard/ and report.html. Ctrl-C saves;
the same command with --resume goes on. Translate with: dragoman-translate RUN
"""

EXAMPLE = """\
examples:
  dragoman-train --source train.de --target train.en --output runs/first --minutes 30
  dragoman-train --source own.de --target own.en --from runs/first --output runs/own --minutes 5
  dragoman-train configs/tatoeba_de_en.yaml --output runs/de-en
  dragoman-train configs/tatoeba_de_en.yaml --output runs/de-en run.max_steps=2000
  dragoman-train configs/tatoeba_de_en.yaml --output runs/de-en --dry-run
  dragoman-train configs/tatoeba_de_en.yaml --check-data
"""

SMALLER = "Make the sizes of model: smaller, or free memory."
LATER = (
    "What was saved is intact: free memory and go on with --resume, or train anew with a lower "
    "search.beam_size or a smaller model:."
)


def parser() -> argparse.ArgumentParser:
    """Build the command line; every other setting is a key of the config."""
    command = command_parser("dragoman-train", DESCRIPTION, EXAMPLE)
    command.add_argument("config", metavar="CONFIG", nargs="?", help="YAML file, see configs/")
    command.add_argument("--output", metavar="RUN", type=Path, help="run directory")
    command.add_argument("--resume", action="store_true", help="go on from the last save")
    command.add_argument(
        "--dry-run",
        action="store_true",
        help="print sizes, memory and an estimate of the time, and stop; writes nothing to RUN",
    )
    command.add_argument(
        "--check-data",
        action="store_true",
        help="read the corpora, print what is kept and what is left out and why, and stop",
    )
    command.add_argument(
        "overrides", metavar="section.key=value", nargs="*", help="change a key of the config"
    )
    add_file_arguments(command)
    return command


def begin_session(
    config: TrainConfig, run: Path, *, resume: bool, world: "World", started: float
) -> "AnySession":
    """Build the session of a run: here alone vectors part from text and symbols.

    Raises:
        ConfigError, DataError, CheckpointError: as their names say.
    """
    from training.loop.build_session import build_session
    from training.vectors.vector_session import build_vector_session

    build = build_vector_session if config.has_vectors else build_session
    return build(config, run, resume=resume, world=world, started=started)


def train(config: TrainConfig, run: Path, *, resume: bool, world: "World", started: float) -> int:
    """Train into `run`; return 0, or 128 + the number of the signal that stopped it.

    Args:
        started: when the command was started, by `time.monotonic`, for `run.max_minutes`.

    Raises:
        CheckpointError: the run exists and is neither finished nor resumed, or is in use.
        OutOfMemory: there is not enough for an update, or for something else.
    """
    from model.checkpoint.run_directory import lock_run
    from training.loop.signals import Interrupted
    from training.loop.train_loop import train as run_loop
    from training.system.memory_use import named_shortage
    from training.tracking.html_report import NAME, save_report

    if world.shared(lambda: already_finished(config, run, resume=resume)):
        return 0
    with lock_run(run) if world.leads else nullcontext():
        with named_shortage("the network and its optimizer", SMALLER):
            session = begin_session(config, run, resume=resume, world=world, started=started)
        try:
            with named_shortage("a validation or a save", LATER):
                if world.leads:  # the report of an earlier end
                    (run / NAME).unlink(missing_ok=True)
                run_loop(session)
        except Interrupted as stop:
            name = signal.Signals(stop.number).name
            saved = f"{name}: saved at step {session.trainer.steps:,}. Go on with --resume."
            if world.leads:
                print(saved, file=sys.stderr)
            return 128 + stop.number
        if not world.leads:
            return 0
        save_report(run)
    for line in fine_tuning_lines(config, run):
        print(line)
    print(f"{session.best.describe()} on the dev set. Translate: dragoman-translate {run}")
    if config.source.kind == "pieces" and not config.has_vectors:
        print(f"Serve: dragoman-serve {run}")
    print(f"Report: {run / NAME}")
    return 0


def fine_tuning_lines(config: TrainConfig, run: Path) -> list[str]:
    """What a fine-tuning has gained and lost, as far as it was measured; else nothing."""
    from training.tracking.fine_tuning import changes, finite, recorded_before, table
    from training.tracking.html_report import best_line
    from training.tracking.metrics_log import read_metrics

    lines = read_metrics(run / "metrics.jsonl")
    best = best_line(lines, config.validation.best)
    before = recorded_before(lines)
    if best is None or not before:
        return []
    return table(changes(config.validation.metrics, before, finite(best)))


def places_read(path: Path, config: TrainConfig, *, resume: bool) -> list[Place]:
    """List the files of `config`, which is that of `path`, for `refuse_overwriting`.

    A run is resumed with its own config.yaml, which is then written again as it is, and without the
    model that it began with.

    Raises:
        CheckpointError: a model that it names is neither a run nor a checkpoint.
        DataError: a file of a corpus is missing.
    """
    from training.data.readers import input_files
    from training.vectors.vector_corpus import vector_files

    files_of = vector_files if config.has_vectors else input_files
    data = config.data
    places: list[Place] = [] if resume else [("CONFIG", path)]
    if config.tokenizer.model is not None:
        places.append(("tokenizer.model", data.path(config.tokenizer.model)))
    places += checkpoint_places("objective.teacher", config.objective.teacher)
    if not resume:
        places += checkpoint_places("finetune.init_from", [config.finetune.init_from])
    for name, corpora in (("data.train", data.train), ("data.dev", (data.dev,))):
        files = (file for one in corpora if not one.dataset for file in files_of(one, data))
        places += ((name, file) for file in files)
    return places


def places_written(run: Path) -> list[Place]:
    """List what a training writes in `run`, for `refuse_overwriting`."""
    from training.tracking import html_report, run_record

    names = ("checkpoints", "tensorboard", "config.yaml", "metrics.jsonl")
    return [("--output", run / name) for name in (*names, html_report.NAME, run_record.NAME)]


def preview(config: TrainConfig, run: Path, *, resume: bool, world: "World", started: float) -> int:
    """Make a few updates and print the sizes, memory and time of the training into `run`."""
    from training.loop.dry_run import dry_run
    from training.system.memory_use import named_shortage

    with named_shortage("the network, its optimizer and a validation", SMALLER):
        session = begin_session(config, run, resume=resume, world=world, started=started)
        lines = dry_run(session)
    if world.leads:
        print("\n".join(lines))
    return 0


def already_finished(config: TrainConfig, run: Path, *, resume: bool) -> bool:
    """Return whether `run` is finished for this config, and say so.

    Raises:
        CheckpointError: the run is not finished and `resume` is false, or its link to the last
            checkpoint is lost.
    """
    from model.checkpoint.run_directory import checkpoints_of, is_begun, resolve
    from training.loop.resume import check_same_config, is_finished
    from training.loop.saved_values import load_values
    from training.tracking.html_report import NAME, save_report

    if not is_begun(run):
        if checkpoints_of(run) and not resume:
            resolve(run, ("last",))  # says that the link is missing
        return False
    meta = load_values(run)
    done = meta["trainer"]["steps"]
    without_better = meta["without_better"]
    planned = meta.get("plan")
    if is_finished(config.run, steps=done, without_better=without_better, planned=planned):
        check_same_config(config, load_config(run / "config.yaml"))
        if not (run / NAME).exists():  # killed between the last save and the report
            save_report(run)
        if 0 < config.run.patience <= without_better:
            setting = "run.patience"
        else:
            ended = done >= (config.run.max_steps or math.inf)
            setting = "run.max_steps" if ended else "run.max_minutes (without a CONFIG: --minutes)"
        print(f"{run} is finished at step {done:,}. Raise {setting} to go on.")
        return True
    if not resume:
        raise CheckpointError(
            f"{run} holds a run at step {done:,}. Add --resume to go on, or choose another "
            "--output."
        )
    return False


def from_files(given: GivenFiles, arguments: argparse.Namespace, started: float) -> int:
    """Prepare and run a training without a config, or go on with it.

    Args:
        started: when the command was started, by `time.monotonic`.
    """
    from model.checkpoint.run_directory import is_begun
    from training.from_files.prepare import prepare, prepare_check
    from training.loop.dry_run import check_data
    from training.system.distributed import joined

    run, overrides = arguments.output, arguments.overrides
    inputs: list[Place] = [(f"--{name.replace('_', '-')}", path) for name, path in given.files()]
    if run is not None:
        refuse_overwriting(inputs, [*places_written(run), ("--output", run / "data")])

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def settings(folder: Path) -> TrainConfig:
        try:
            return prepare(given, folder, minutes=arguments.minutes, overrides=overrides, say=say)
        except KeyboardInterrupt:
            say("SIGINT: stopped before the training began. Give the same command again.")
            raise

    with joined("auto") as world:
        if arguments.dry_run or arguments.check_data:
            with TemporaryDirectory(prefix="dragoman-") as name:
                folder = Path(name)
                if arguments.check_data:
                    print(check_data(prepare_check(given, folder, overrides=overrides, say=say)))
                    return 0
                config = world.shared(lambda: settings(folder))
                return preview(config, folder, resume=False, world=world, started=started)
        config = world.shared(lambda: settings(run))
        return train(config, run, resume=is_begun(run), world=world, started=started)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""

    def command() -> int:
        from training.system.distributed import joined
        from training.system.process_age import process_age_s

        # The minutes of a run count from the start of the process, if this is its command.
        started = time.monotonic() - (process_age_s() if argv is None else 0.0)

        line = parser()
        arguments = line.parse_intermixed_args(argv)
        given = given_files(line, arguments)
        if arguments.output is None and not arguments.check_data:
            line.error("--output RUN is missing")
        if given is not None:
            return from_files(given, arguments, started)
        config = load_config(Path(arguments.config), arguments.overrides, check_files=True)
        if arguments.check_data:
            from training.loop.dry_run import check_data
            from training.vectors.vector_session import describe_vectors

            describe = describe_vectors if config.has_vectors else check_data
            print(describe(config))
            return 0
        if not arguments.dry_run:
            refuse_overwriting(
                places_read(Path(arguments.config), config, resume=arguments.resume),
                places_written(arguments.output),
            )
        with joined(config.run.device) as world:
            if arguments.dry_run:
                return preview(
                    config, arguments.output, resume=arguments.resume, world=world, started=started
                )
            return train(
                config, arguments.output, resume=arguments.resume, world=world, started=started
            )

    return run_command("dragoman-train", command)
