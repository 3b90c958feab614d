"""Resolve config: the effective config of a run, with every `auto` replaced by a value."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from model.text.vocabulary import Vocabulary
from training.config.train_config import TrainConfig, load_config
from training.data.make_vocabulary import make_vocabulary
from training.loop.auto_batch_size import auto_batch_tokens
from training.loop.auto_precision import training_dtype
from training.loop.resume import SavedState, check_same_config, config_differences
from training.system.distributed import World


def resolve_config(
    given: TrainConfig,
    run: Path,
    *,
    resume: bool,
    saved: SavedState | None,
    dev_targets: Sequence[str],
    device: torch.device,
    world: World,
) -> tuple[TrainConfig, Vocabulary]:
    """Decide what `given` leaves open; return the config of the run, and its tokenizer.

    A resumed run keeps what it was begun with. Else the first process decides for all. In order:
    how BLEU cuts words, the tokenizer and with it the size of the vocabulary, the precision, the
    size of a batch; each may depend on those before.

    Args:
        saved: the last checkpoint of `run`, if any.
        dev_targets: lines of the dev set, which choose the tokenization of BLEU.

    Raises:
        ConfigError: `run` was begun with another config, or an `auto` cannot be decided.
        CheckpointError, DataError: see `make_vocabulary` and `auto_batch_tokens`.
    """
    language = given.data.target_language
    validation = world.shared(lambda: given.validation.resolved(language, dev_targets))
    config = replace(given, validation=validation)
    if resume:
        config = as_begun(config, run, saved.values if saved else None, world)
    tokenizer = saved.tokenizer if saved else world.shared(lambda: make_vocabulary(config))
    config = replace(config, model=replace(config.model, vocab_size=tokenizer.vocab_size))
    dtype = world.shared(lambda: training_dtype(config, device))
    tokens = config.run.batch_tokens
    if tokens == "auto":
        tokens = auto_batch_tokens(config, tokenizer, device, dtype, world)
    precision: Literal["fp32", "bf16"] = "fp32" if dtype == torch.float32 else "bf16"
    return replace_auto(config, tokens, precision), tokenizer


def replace_auto(
    config: TrainConfig, tokens: int | Literal["auto"], precision: Literal["auto", "fp32", "bf16"]
) -> TrainConfig:
    """Replace `auto` in `run.batch_tokens` and `run.precision` by these values."""
    run = config.run
    if run.batch_tokens == "auto":
        run = replace(run, batch_tokens=tokens)
    if run.precision == "auto":
        run = replace(run, precision=precision)
    return replace(config, run=run)


def as_begun(
    config: TrainConfig, run: Path, values: Mapping[str, Any] | None, world: World
) -> TrainConfig:
    """Replace `auto` in `config` by what was found when `run` was begun.

    A run that was killed before its first checkpoint must train identically when it is repeated; if
    its config differed, it starts from the beginning. All processes use the config.yaml that the
    first one finds.

    Args:
        values: training state of the last checkpoint; None if there is none.

    Raises:
        ConfigError: the checkpoint is of another config.
    """
    path = run / "config.yaml"

    def find() -> TrainConfig | None:
        if not values and not path.exists():
            return None
        stored = load_config(path)
        return stored if values or not config_differences(config, stored) else None

    stored = world.shared(find)
    if stored is None:
        return config
    precision = stored.run.precision
    if values:
        check_same_config(config, stored)
        precision = values.get("precision", precision)  # older checkpoints have none
    return replace_auto(config, stored.run.batch_tokens, precision)
