"""Symbols config: which keys of a config mean nothing for symbols, and the defaults of the rest."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from model.decoding.symbol_options import check_symbol_options
from model.errors import ConfigError, RequestError
from training.config.sequence_config import KINDS, SequenceConfig
from training.metrics.names import SYMBOLS, VECTORS

if TYPE_CHECKING:
    from training.config.train_config import TrainConfig


def with_symbol_metrics(validation: Mapping[str, object]) -> dict[str, object]:
    """Fill the section `validation` with the default metrics of symbols."""
    return {"metrics": SYMBOLS, "best": SYMBOLS[0], **validation}


def check_kinds(source: SequenceConfig, target: SequenceConfig) -> None:
    """Check that the kinds of both sides go together.

    How a target of vectors is learned stands with the target.

    Raises:
        ConfigError: they do not.
    """
    if (source.kind, target.kind) not in KINDS:
        raise ConfigError(
            f"target.kind: {target.kind} does not go with source.kind {source.kind}, since a model "
            "has one vocabulary for all its lines. Use one kind for both, or vectors on one side."
        )
    if source.loss or source.length or source.differences:
        raise ConfigError(
            "source: loss, length and differences are for the target. Move them there."
        )


def check_text_keys(config: "TrainConfig") -> None:
    """Check that a config with symbols sets nothing that only text has.

    Raises:
        ConfigError: naming the first key that does.
    """
    data, finetune = config.data, config.finetune
    set_keys = {
        "tokenizer": config.tokenizer != type(config.tokenizer)(),
        "data.task": data.task != "translate",
        "data.joined": data.joined,
        "data.noise": data.noise,
        "data.length_buckets": data.length_buckets,
        "data.source_language": data.source_language,
        "data.target_language": data.target_language,
        "data.train, data.dev: tag": any(one.tag for one in (*data.train, data.dev)),
        "objective.risk_weight": config.objective.risk_weight,
        "finetune.init_from": finetune.init_from,
        "validation.tokenize": config.validation.tokenize != "auto",
        "shortlist.candidates": config.shortlist.candidates,
    }
    for key, is_set in set_keys.items():
        if is_set:
            raise ConfigError(f"{key}: it is for text, not for symbols. Leave it out.")
    try:
        check_symbol_options(config.search)
    except RequestError as error:
        raise ConfigError(f"search.{error}") from None


def check_metrics(config: "TrainConfig") -> None:
    """Check that the metrics are those of what the model gives: pieces, symbols or vectors.

    Raises:
        ConfigError: naming one that is not.
    """
    for name in config.validation.metrics:
        kind = "symbols" if name in SYMBOLS else "vectors" if name in VECTORS else "pieces"
        if kind != config.target.kind:
            raise ConfigError(
                f"validation.metrics: {name} is for {kind}, but the target is "
                f"{config.target.kind}. Leave it out."
            )
