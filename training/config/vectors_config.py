"""Vectors config: which keys of a config mean nothing for vectors, and the defaults of the rest."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from model.decoding.symbol_options import check_symbol_options
from model.errors import ConfigError, RequestError
from model.vectors.vector_form import VectorForm
from training.config.sequence_config import kind_of
from training.metrics.names import VECTORS

if TYPE_CHECKING:
    from training.config.train_config import TrainConfig
    from training.config.windows_config import WindowsConfig

VECTORS_ON_BOTH = "data.windows: they are vectors. Set kind: vectors of source and target."
WIDTHS = {"source": "source_width", "target": "target_width"}
"""The key of `model` that follows `width` of each side."""


def with_vector_sizes(
    model: Mapping[str, object], values: Mapping[str, object]
) -> dict[str, object]:
    """Fill the section `model` with widths, and with the defaults that suit vectors.

    With an output for each vector of the source, step i reads what the encoder knows at step i, and
    the encoder reads forwards only, so that it knows no later vector.
    """
    sides = {name: values.get(name) for name in WIDTHS}
    widths = {
        key: side["width"]
        for name, key in WIDTHS.items()
        if isinstance(side := sides[name], dict) and isinstance(side.get("width"), int)
    }
    target = sides["target"]
    reads = kind_of(values, "source")
    defaults: dict[str, object] = {"tie_embeddings": False}
    if kind_of(values, "target") != "vectors":  # lines, whose vocabulary is learned
        return {**defaults, **model, **widths}
    if not isinstance(target, dict) or target.get("length") in (None, "source"):
        defaults |= {"attention": "aligned", "input_feeding": False, "first_state": "zeros"}
        defaults["bidirectional"] = reads != "vectors"  # a line has no later vector
    size = {"vocab_size": VectorForm.vocab_size} if reads == "vectors" else {}
    return {**defaults, **model, **widths, **size}


def with_search_over_vectors(search: Mapping[str, object]) -> dict[str, object]:
    """Fill the section `search` for outputs that are lines: they have fewer steps than vectors."""
    return {"max_length_a": 1.0, **search}


def with_vector_metrics(validation: Mapping[str, object]) -> dict[str, object]:
    """Fill the section `validation` with the default metrics of vectors."""
    return {"metrics": VECTORS, "best": VECTORS[0], **validation}


def check_vector_keys(config: "TrainConfig") -> None:
    """Check that a config with vectors on a side sets nothing that only others have.

    Raises:
        ConfigError: naming the first key that does, or that does not suit `target.length`.
    """
    data, model, to_vectors = config.data, config.model, config.target.kind == "vectors"
    corpora, to_text = (*data.train, data.dev), config.target.kind == "pieces"
    of_text = to_text or config.source.kind == "pieces"
    set_keys = {
        "tokenizer": not of_text and config.tokenizer != type(config.tokenizer)(),
        "tokenizer.sampling": config.tokenizer.sampling,
        "data.task": data.task != "translate",
        "data.joined": data.joined,
        "data.noise": data.noise,
        "data.temperature": data.temperature != 1,
        "data.length_buckets": data.length_buckets,
        "data.source_language": data.source_language,
        "data.target_language": not to_text and data.target_language,
        "data.filters": data.filters != type(data.filters)(),
        "data.train, data.dev: tag": any(one.tag for one in corpora),
        "data.train, data.dev: dataset": any(one.dataset for one in corpora),
        "data.train: weight, weight_column": any(
            one.weight != 1 or one.weight_column for one in corpora
        ),
        "objective": config.objective != type(config.objective)(),
        "finetune": config.finetune != type(config.finetune)(),
        "model.word_dropout": model.word_dropout,
        "search": to_vectors and config.search != type(config.search)(),
        "run.truncated_bptt": config.run.truncated_bptt,
        "validation.tokenize": not to_text and config.validation.tokenize != "auto",
        "shortlist.candidates": config.shortlist.candidates,
    }
    for key, is_set in set_keys.items():
        if is_set:
            raise ConfigError(f"{key}: it is not for vectors. Leave it out.")
    if data.windows is not None:
        if not (config.source.width and to_vectors):
            raise ConfigError(VECTORS_ON_BOTH)
        _check_windows(config, data.windows)
    if to_text:
        _check_search(config)
    if to_vectors and config.source.kind == "pieces" and not config.target.steps:
        raise ConfigError(
            "target.length: it must be a number with source.kind pieces, since how many pieces a "
            "text has is only found out in the training. Give one, such as 24."
        )
    if config.run.batch_tokens == "auto":
        raise ConfigError("run.batch_tokens: auto is not for vectors. Give a number of vectors.")
    if model.attention == "aligned" and config.target.steps:
        raise ConfigError(
            f"model.attention: aligned needs target.length: source, not {config.target.steps}. Use "
            "general, dot or additive."
        )


def _check_search(config: "TrainConfig") -> None:
    """Check that the search options of outputs of text ask for nothing that reads text.

    Raises:
        ConfigError: they do.
    """
    try:
        check_symbol_options(config.search, "vectors")
    except RequestError as error:
        raise ConfigError(f"search.{error}") from None


def _check_windows(config: "TrainConfig", windows: "WindowsConfig") -> None:
    """Check that the widths and the length are those of the windows.

    Raises:
        ConfigError: naming the key that is not.
    """
    wanted = {
        "source.width": (config.source.width, len(windows.columns), "columns"),
        "target.width": (config.target.width, len(windows.places), "targets"),
        "target.length": (config.target.steps, windows.horizon, "horizon"),
    }
    for key, (given, value, name) in wanted.items():
        if given != value:
            raise ConfigError(
                f"{key}: {given or 'source'}, but by data.windows.{name} it is {value}. Make them "
                "agree."
            )
    if windows.window > config.model.max_length:
        raise ConfigError(
            f"data.windows.window: {windows.window} is above model.max_length "
            f"{config.model.max_length}. Raise that."
        )
    for corpus in (*config.data.train, config.data.dev):
        if not corpus.files:
            raise ConfigError("data.windows: series are in data.train.files. Name them there.")
    trained = {name for corpus in config.data.train for name in _names(corpus.files)}
    if not windows.split and trained & set(_names(config.data.dev.files)):
        raise ConfigError(
            "data.dev: its series are those of data.train, so every window of it would be trained "
            "on. Set data.windows.split, or name other files."
        )


def _names(files: Path | tuple[Path, ...]) -> tuple[Path, ...]:
    return files if isinstance(files, tuple) else (files,)
