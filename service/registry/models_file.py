"""Models file: the models to serve, from a YAML file or from the runs on the command line."""

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from model.checkpoint.archive import SUFFIX
from model.checkpoint.checkpoint import Checkpoint
from model.checkpoint.pretrained import in_box
from model.checkpoint.run_directory import LINKS
from model.cli.yaml_text import parse_yaml
from model.config import from_dict
from model.errors import ConfigError, DataError
from model.io.lines import whole_text
from model.text.languages import language_tag
from model.text.profile import TextProfile, check_task

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Allowed names of models; they appear in URLs and in the labels of metrics."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelEntry:
    """One model to serve."""

    name: str
    path: Path
    """A run (for its best checkpoint), a checkpoint, a pack or the name of a model in the box."""
    source: str | None = None
    """Tag or name of the source language; that of the checkpoint if None."""
    target: str | None = None
    """Tag or name of the target language; that of the checkpoint if None."""
    task: str | None = None
    """Task of the model; that of the checkpoint if None."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Search options that override those of the checkpoint."""
    shortlist: bool | None = None
    """Whether to use the shortlist of the checkpoint; as in the settings if None."""
    precision: Literal["auto", "fp32", "bf16", "int8"] | None = None
    """Number format of matrix products; that of the settings if None."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ConfigError(
                f"name: {self.name!r} is not allowed. "
                "Use 1 to 64 letters, digits, '.', '_' and '-'."
            )
        if self.task is not None:
            check_task(self.task)
        for which in ("source", "target"):
            language = getattr(self, which)
            try:
                tag = None if language is None else language_tag(language)
            except ConfigError as error:
                raise ConfigError(f"{which}: {error}") from None
            object.__setattr__(self, which, tag)


def profile_of(entry: ModelEntry, checkpoint: Checkpoint) -> TextProfile:
    """Return the profile of the checkpoint, overridden by the entry."""
    return checkpoint.profile.with_overrides(
        task=entry.task, source=entry.source, target=entry.target
    )


def read_models_file(path: Path) -> list[ModelEntry]:
    """Read the entries of a models file; relative paths are relative to its folder.

    Raises:
        ConfigError: it cannot be read, has an unknown key or two models with the same name.
    """
    try:
        text = whole_text(path.read_bytes(), f"--models {path}")
    except OSError as error:
        raise ConfigError(
            f"--models {path}: cannot be read: {error.strerror}. Name a YAML file."
        ) from error
    except DataError as error:
        raise ConfigError(str(error)) from error
    try:
        return _entries(parse_yaml(text), path.parent)
    except ConfigError as error:
        raise ConfigError(f"--models {path}: {error}") from error


def entries_of_runs(runs: Sequence[Path]) -> list[ModelEntry]:
    """Return an entry for each run on the command line, named after its directory.

    Raises:
        ConfigError: two runs have the same name.
    """
    entries = [ModelEntry(name=_name_of(run), path=run) for run in runs]
    _check_names(entries)
    return entries


def _entries(content: object, folder: Path) -> list[ModelEntry]:
    if not isinstance(content, Mapping) or not isinstance(content.get("models"), list):
        raise ConfigError("no list `models` at the top. docs/serving.md has an example.")
    if unknown := [str(key) for key in content if key != "models"]:
        raise ConfigError(f"{unknown[0]}: unknown key. The only one at the top is `models`.")
    if not content["models"]:
        raise ConfigError("models: an empty list. Add a model.")
    entries = [_entry(item, number) for number, item in enumerate(content["models"])]
    _check_names(entries)
    return [dataclasses.replace(entry, path=in_box(entry.path, folder)) for entry in entries]


def _entry(item: object, number: int) -> ModelEntry:
    where = f"models[{number}]"
    if not isinstance(item, Mapping):
        raise ConfigError(f"{where}: {item!r} is not a mapping of keys to values.")
    plain = {key: value for key, value in item.items() if key != "options"}
    options = item.get("options") or {}
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise ConfigError(f"{where}.options: {options!r} is not a mapping of names to values.")
    try:
        return dataclasses.replace(from_dict(ModelEntry, plain), options=dict(options))
    except ConfigError as error:
        raise ConfigError(f"{where}.{error}") from error


def _check_names(entries: Sequence[ModelEntry]) -> None:
    seen: dict[str, ModelEntry] = {}
    for entry in entries:
        if entry.name in seen:
            raise ConfigError(
                f"two models have the name {entry.name!r}: {seen[entry.name].path} and "
                f"{entry.path}. Give each a name of its own, in a file for --models."
            )
        seen[entry.name] = entry


def _name_of(run: Path) -> str:
    """Return the name of the run's directory, even if `run` is one of its checkpoints.

    For a pack, return the name of the file without its ending.
    """
    path = Path(os.path.abspath(run))  # does not follow the links `best` and `last`
    if path.suffix == SUFFIX:
        path = path.with_suffix("")
    elif path.name in LINKS:
        path = path.parent
    elif path.parent.name == "checkpoints":
        path = path.parent.parent
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.name)[:64] or "model"
