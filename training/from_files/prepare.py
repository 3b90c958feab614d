"""Preparation of a training from two files: the order in which its parts find the config."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from model.checkpoint.run_directory import is_begun, lock_run
from model.decoding.precision.precision import resolve_device
from model.errors import CheckpointError, ConfigError, DataError
from model.io.lines import atomic_output
from training.config.train_config import TrainConfig, load_config, parse_config
from training.from_files.choose_settings import MOST_MINUTES, Setting
from training.from_files.commented_config import commented_config
from training.from_files.data_settings import DividedData, divide, profile_settings
from training.from_files.fine_tune import (
    Base,
    as_trained,
    fine_tune_settings,
    init_setting,
    load_base,
    network_settings,
    old_dev_settings,
)
from training.from_files.first_training import first_lengths, first_settings
from training.from_files.given_files import GivenFiles
from training.from_files.survey import Survey, take_survey

ORIGIN = "origin.json"
"""In the folder of the split: what it was made of."""


def prepare(
    given: GivenFiles,
    run: Path,
    *,
    minutes: float | None,
    overrides: Sequence[str],
    say: Callable[[str], None],
) -> TrainConfig:
    """Return the config of the training of `given` into `run`, and write it there if it is new.

    Raises:
        CheckpointError: `run` is in use, or is not a run of this kind.
        ConfigError, DataError: the files are no corpus, or are not those that `run` began with.
    """
    folder = run / "data"
    changes = [*overrides, *([f"run.max_minutes={minutes}"] if minutes is not None else [])]
    device = resolve_device(_check(given, changes).run.device)
    with lock_run(run):
        begins = not (run / "config.yaml").exists()
        base = load_base(given.begun_from) if given.begun_from and begins else None
        if base is not None:
            given = as_trained(given, base)
        survey, dev_survey = _surveys(given)
        origin = {"pairs": survey.digest, "dev": dev_survey.digest if dev_survey else ""}
        if not begins:
            _check_origin(folder, origin, run)
            return load_config(run / "config.yaml", [*given.overrides(), *changes])
        if is_begun(run):
            raise CheckpointError(f"{run}: its config.yaml is missing. Choose another --output.")
        data = divide(given, survey, dev_survey, folder, say)
        folder.mkdir(exist_ok=True)  # a dev set that was given is not copied there
        with atomic_output(folder / ORIGIN) as file:
            file.write(json.dumps(origin).encode())
        text = _settings(given, base, data, folder, minutes=minutes, device=device, say=say)
        config = parse_config(text, changes)
        with atomic_output(run / "config.yaml") as file:
            file.write(text.encode())
        say(f"settings and reasons: {run / 'config.yaml'}")
        return config


def prepare_check(
    given: GivenFiles, folder: Path, *, overrides: Sequence[str], say: Callable[[str], None]
) -> TrainConfig:
    """Return a config for `check_data`, with a split in `folder`; what needs time is not measured.

    Raises:
        CheckpointError, ConfigError, DataError: as `prepare`.
    """
    _check(given, overrides)
    base = load_base(given.begun_from) if given.begun_from else None
    if base is not None:
        given = as_trained(given, base)
    data = divide(given, *_surveys(given), folder, say)
    if base is None:
        chosen = first_lengths(data, summary=given.task == "summarize")
    else:
        chosen = [*network_settings(base), init_setting(base)]
    minutes = Setting("run.max_minutes", MOST_MINUTES, "")
    settings = [*data.settings, *profile_settings(given, data.settings), *chosen, minutes]
    return parse_config(commented_config([], settings), overrides)


def _check(given: GivenFiles, changes: Sequence[str]) -> TrainConfig:
    """Check what was said on the command line before anything is read or written.

    Returns:
        A config with nothing else in it that means anything.

    Raises:
        ConfigError: see `parse_config`.
    """
    settings = [
        Setting("data.train", [{"source": "a", "target": "b"}], ""),
        Setting("data.dev", {"source": "a", "target": "b"}, ""),
        Setting("data.source_language", "", ""),
        Setting("data.target_language", "", ""),
        Setting("data.license", "", ""),
        Setting("run.max_minutes", MOST_MINUTES, ""),
    ]
    text = commented_config([], settings) + "model: {}\n"
    for change in changes:
        side, kind, value = change.partition(".kind=")
        if kind and side in ("source", "target") and value != "pieces":
            raise ConfigError(
                f"{change}: files without a config are text. Write a CONFIG, as docs/symbols.md "
                "and docs/vectors.md show."
            )
    return parse_config(text, [*given.overrides(), *changes])


def _surveys(given: GivenFiles) -> tuple[Survey, Survey | None]:
    """Read the pairs, and the dev set if one is given."""
    section, dev = given.section(), given.dev()
    survey = take_survey(given.corpus(), section, any_ratio=given.task == "summarize")
    return survey, take_survey(dev, section) if dev else None


def _check_origin(folder: Path, origin: dict[str, str], run: Path) -> None:
    """Make sure that `run` was begun with the same pairs.

    Raises:
        CheckpointError: it was begun with a config.
        DataError: it was begun with other pairs.
    """
    path = folder / ORIGIN
    if not path.exists():
        raise CheckpointError(
            f"{run} holds a run with a config of its own. Go on with dragoman-train "
            f"{run / 'config.yaml'} --output {run} --resume, or choose another --output."
        )
    if json.loads(path.read_bytes()) != origin:
        raise DataError(
            f"{run} was begun with other pairs than these. Put them back, or choose another "
            "--output."
        )


def _settings(
    given: GivenFiles,
    base: Base | None,
    data: DividedData,
    folder: Path,
    *,
    minutes: float | None,
    device: torch.device,
    say: Callable[[str], None],
) -> str:
    """Choose every setting, and say which; return the text of the config."""
    settings = [*data.settings, *profile_settings(given, data.settings)]
    warning = None
    if base is None:
        summary = given.task == "summarize"
        chosen, warning = first_settings(
            data, summary=summary, minutes=minutes, device=device, say=say
        )
        head = "Written by dragoman-train, which chose the values from the data and this machine."
    else:
        settings += old_dev_settings(base, given.old_dev(), given.section(), folder, say)
        chosen = fine_tune_settings(base, data, minutes=minutes, device=device)
        head = "Written by dragoman-train --from, from the model, the data and this machine."
    _tell([*settings, *chosen], say)
    if warning:
        say(warning)
    return commented_config([head], [*settings, *chosen])


def _tell(settings: Sequence[Setting], say: Callable[[str], None]) -> None:
    """Say what was chosen and why."""
    for one in settings:
        if one.key.split(".")[0] != "data" and one.reason != "likewise":
            say(f"  {one.key}: {one.value}  ({one.reason})")
