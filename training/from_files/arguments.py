"""Arguments of a training without a config: its flags, and the files that they name."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from training.config.train_config import MOST_MINUTES
from training.from_files.given_files import GivenFiles


def add_file_arguments(command: argparse.ArgumentParser) -> None:
    """Add the flags of a training without a config."""
    group = command.add_argument_group(
        "without CONFIG", "The same command goes on with a run that was stopped."
    )
    for flag, metavar, text in (
        ("--source", "FILE", "text to translate, a sentence a line; plain, .gz or .zst"),
        ("--target", "FILE", "its translation: line i of one belongs to line i of the other"),
        ("--tsv", "FILE", "both in one: source, tab, target in each line"),
        ("--dev-source", "FILE", "a dev set of your own (default: up to 1,000 pairs split off)"),
        ("--dev-target", "FILE", "its other side"),
    ):
        group.add_argument(flag, metavar=metavar, type=Path, help=text)
    group.add_argument(
        "--minutes",
        metavar="M",
        type=_minutes,
        help="time for everything (default: enough for ten passes over the data, 10 to 120)",
    )
    group.add_argument(
        "--from",
        metavar="RUN",
        type=Path,
        dest="begun_from",
        help="fine-tune: go on from this run, checkpoint, pack or model in the box, with its "
        "tokenizer and sizes; what is gained on the dev set and lost on the old one is shown",
    )
    for flag, text in (
        ("--old-dev-source", "with --from: the dev set on which to measure what is forgotten"),
        ("--old-dev-target", "its other side (default: up to 500 pairs of that of RUN)"),
    ):
        group.add_argument(flag, metavar="FILE", type=Path, help=text)
    group.add_argument("--task", choices=["translate", "summarize"], help="default: translate")
    group.add_argument("--source-language", metavar="TAG", help="de, pt-BR or German")
    group.add_argument("--target-language", metavar="TAG", help="likewise")


def _minutes(text: str) -> float:
    """Parse --minutes."""
    minutes = float(text)
    if not 0 < minutes <= MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"{text} must be above 0 and at most {MOST_MINUTES:,}")
    return minutes


def given_files(line: argparse.ArgumentParser, arguments: argparse.Namespace) -> GivenFiles | None:
    """Return the files of a training without a config; None if there is a config.

    Raises:
        ConfigError: there is neither, or both, or a flag that goes with the other.
        DataError: a file is missing.
    """
    values = {field.name: getattr(arguments, field.name) for field in fields(GivenFiles)}
    said = [
        name
        for name, value in {**values, "minutes": arguments.minutes}.items()
        if value is not None
    ]
    if arguments.config is not None and "=" in arguments.config and said:  # an override
        arguments.overrides.insert(0, arguments.config)
        arguments.config = None
    if arguments.config is not None:
        if said:
            flag = "--from" if said[0] == "begun_from" else f"--{said[0].replace('_', '-')}"
            line.error(f"{flag} is for a training without CONFIG, in which it is a key")
        _refuse_two_texts(line, arguments.config, arguments.overrides)
        return None
    if not said:
        line.error("name a CONFIG, or give --source and --target, or --tsv")
    return GivenFiles(**values)


def _refuse_two_texts(line: argparse.ArgumentParser, config: str, overrides: Sequence[str]) -> None:
    """Refuse two files that are given without flags, of which the first would be read as YAML.

    Raises:
        ConfigError: see above.
    """
    # Not Path.is_file, which raises if an override is longer than a name can be.
    if overrides and os.path.isfile(overrides[0]) and not config.endswith((".yaml", ".yml")):
        line.error(f"two files of text are given as --source {config} --target {overrides[0]}")
