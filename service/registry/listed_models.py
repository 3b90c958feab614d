"""Listed models: what a server serves, by its runs or its models file."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from model.errors import ConfigError
from service.registry.models_file import ModelEntry, entries_of_runs, read_models_file
from service.settings import PREFIX, Settings


def listed_models(
    runs: Sequence[Path], flag: Path | None, settings: Settings
) -> Callable[[], Sequence[ModelEntry]]:
    """Return a function that lists the models to serve; it rereads a file on each call.

    Raises:
        ConfigError: neither runs nor a file are given, or both.
    """
    if runs and flag:
        raise ConfigError(f"RUN and --models {flag}: both. List the runs in the file, or drop it.")
    if runs:
        entries = entries_of_runs(runs)
        return lambda: entries
    if settings.models is None:
        raise ConfigError(
            f"no model: neither RUN nor --models FILE nor {PREFIX}MODELS. "
            "Name a run, such as runs/demo. See dragoman-serve --help."
        )
    return partial(read_models_file, settings.models)
