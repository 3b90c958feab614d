"""Resume: what a run that goes on must agree on, and when there is nothing left to do."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from model.config import to_dict
from model.errors import CheckpointError, ConfigError, DataError
from training.config.train_config import TrainConfig, load_config
from training.system.distributed import World


def is_finished(config: TrainConfig, steps: int, without_better: int) -> bool:
    """Whether a run has done `max_steps`, or waited `patience` validations for a better one."""
    run = config.run
    return steps >= run.max_steps or 0 < run.patience <= without_better


def check_same_config(given: TrainConfig, stored: TrainConfig) -> None:
    """A resumed run keeps its network, its data and their order.

    The optimizer may change (after a divergence), and so may the length and rhythm of the run. So
    may the shortlist, of which the training uses at most `max_links`, the metrics that are only
    looked at, and the folders of data and cache: the content is compared by `check_same_data`.

    Raises:
        ConfigError: naming each difference.
    """
    if differences := _all_differences(given, stored):
        raise ConfigError(
            f"the run was begun with another config: {'; '.join(differences)}. Use its own "
            "config.yaml, or train into a new --output."
        )


def _all_differences(given: TrainConfig, stored: TrainConfig) -> list[str]:
    free = {f"run.{key}" for key in to_dict(given.run)} - {"run.batch_tokens", "run.seed"}
    free |= {"data.data_dir", "data.cache_dir", "validation.metrics"}
    if given.run.batch_tokens == "auto":
        free |= {"run.batch_tokens"}  # it goes on with what was found
    if "auto" in (given.validation.tokenize, stored.validation.tokenize):
        free |= {"validation.tokenize"}  # which follows from the data, and they are compared
    differences = []
    sections = ("data", "tokenizer", "model", "objective", "finetune", "validation")
    for section in (*sections, "search", "run"):
        now, before = to_dict(getattr(given, section)), to_dict(getattr(stored, section))
        for key in now:
            if f"{section}.{key}" not in free:
                differences += _differences(f"{section}.{key}", before[key], now[key])
    if given.objective.guided_alignment:  # whose table is learned from so many links
        most = (stored.shortlist.max_links, given.shortlist.max_links)
        differences += _differences("shortlist.max_links", *most)
    return differences


def _differences(path: str, before: object, now: object) -> list[str]:
    """What differs, down to single keys of corpora and filters."""
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = [(f"{path}.{key}", before[key], now[key]) for key in now]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        both = enumerate(zip(before, now, strict=True))
        pairs = [(f"{path}[{number}]", *values) for number, values in both]
    else:
        return [f"{path} was {before!r} and is {now!r}"] if before != now else []
    return [line for pair in pairs for line in _differences(*pair)]


def with_found(
    config: TrainConfig, tokens: int | Literal["auto"], precision: Literal["auto", "fp32", "bf16"]
) -> TrainConfig:
    """`config` with what `auto` has come to for `run.batch_tokens` and `run.precision`."""
    run = config.run
    if run.batch_tokens == "auto":
        run = replace(run, batch_tokens=tokens)
    if run.precision == "auto":
        run = replace(run, precision=precision)
    return replace(config, run=run)


def as_begun(
    config: TrainConfig, run: Path, values: Mapping[str, Any] | None, world: World
) -> TrainConfig:
    """`config` with what `auto` came to when `run` was begun.

    Also a run that was killed before its first checkpoint must train the same again; if it was of
    another config, it begins anew. All processes go by the config.yaml that the first one finds.

    Args:
        values: of the last checkpoint; None if there is none.

    Raises:
        ConfigError: the checkpoint is of another config.
    """
    path = run / "config.yaml"

    def find() -> TrainConfig | None:
        if not values and not path.exists():
            return None
        stored = load_config(path)
        return stored if values or not _all_differences(config, stored) else None

    stored = world.shared(find)
    if stored is None:
        return config
    precision = stored.run.precision
    if values:
        check_same_config(config, stored)
        precision = values.get("precision", precision)  # older checkpoints have none
    return with_found(config, stored.run.batch_tokens, precision)


DATA = {
    "data_digest": "the training files",
    "dev_digest": "the dev files",
    "teacher_digest": "the models of objective.teacher",
}
"""What a digest of a checkpoint's values is of."""


def check_same_data(now: Mapping[str, str], before: Mapping[str, Any]) -> None:
    """A resumed run learns from what it learned from: other dev files would give other scores.

    Args:
        now: digests, by the name that a checkpoint has for them.
        before: the values of a checkpoint; an older one has not all of them.

    Raises:
        DataError: naming what has changed.
    """
    for name, files in DATA.items():
        if before.get(name, now[name]) != now[name]:
            raise DataError(
                f"--resume: {files} are not those that the run began with. Put them back, or train "
                "into a new --output."
            )


def check_shared_data(digests: Mapping[str, str], world: World) -> None:
    """Processes of one training have the same: each takes its share of what it has itself.

    Raises:
        DataError: this one has something else than the first.
    """
    first = world.shared(lambda: digests)
    for name, files in DATA.items():
        if digests[name] != first[name]:
            raise DataError(
                f"process {world.rank}: {files} are not those of the first process. Give every "
                "machine the same files."
            )


def check_same_step(run: Path, steps: int, world: World) -> None:
    """Every process must begin at the same step.

    Raises:
        CheckpointError: this one found another checkpoint than the first.
    """
    first = world.shared(lambda: steps)
    if steps != first:
        raise CheckpointError(
            f"process {world.rank} finds step {steps:,} in {run}, the first process {first:,}. Put "
            "--output on a file system that all machines share."
        )
