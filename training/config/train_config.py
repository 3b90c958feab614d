"""TrainConfig: everything a training run needs, one YAML file a run, checked at the edge."""

import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast, get_type_hints

import yaml

from model.cli.yaml_text import parse_yaml
from model.config import MOST, ModelConfig, to_dict
from model.decoding.lexical_shortlist import MAX_CANDIDATES
from model.decoding.options import SearchOptions
from model.errors import ConfigError, ConfigErrors, DataError
from model.io.lines import atomic_output, whole_text
from model.text.printable import shortened
from training.config.collect_mistakes import Collector
from training.config.data_config import SOME_CORPUS, DataConfig, as_corpora, missing_files
from training.config.key_hints import key_hint
from training.config.objective_config import FinetuneConfig, ObjectiveConfig
from training.config.search_of_task import with_search_of
from training.config.sequence_config import KINDS, SequenceConfig, kind_of
from training.config.symbols_config import (
    check_kinds,
    check_metrics,
    check_text_keys,
    with_symbol_metrics,
)
from training.config.validation_config import ValidationConfig, with_metrics_of
from training.config.vectors_config import (
    VECTORS_ON_BOTH,
    check_vector_keys,
    with_search_over_vectors,
    with_vector_metrics,
    with_vector_sizes,
)
from training.config.windows_config import with_text_of_split
from training.metrics.names import OF_TASK

VOCAB_SIZE = 8000
"""Pieces of a tokenizer, unless the text has too few or another number is asked for."""

MOST_MINUTES = 10_000_000  # nineteen years
_SHOWN = 200  # characters of a wrong section or override


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerConfig:
    """The subword model: a file, or learned from the training text."""

    model: Path | None = None
    kind: Literal["bpe", "unigram"] = "bpe"
    vocab_size: int | Literal["auto"] = "auto"
    """Pieces, shared by both languages; auto = `VOCAB_SIZE`, or fewer if the text has fewer."""
    sampling: float = 0.0
    """BPE-dropout rate (Provilkov 2020) or unigram sampling alpha (Kudo 2018) in training."""

    def __post_init__(self) -> None:
        if self.vocab_size != "auto" and not 1 <= self.vocab_size <= MOST["vocab_size"]:
            much = "small" if self.vocab_size < 1 else "large"
            given = shortened(repr(self.vocab_size), _SHOWN)
            raise ConfigError(
                f"tokenizer.vocab_size: {given} is too {much}. {VOCAB_SIZE} is usual."
            )
        if not 0 <= self.sampling < 1:
            raise ConfigError(f"tokenizer.sampling: {self.sampling} is not in [0, 1).")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """AdamW (Loshchilov & Hutter 2019), its schedule, and what smooths it."""

    learning_rate: float = 0.005
    schedule: Literal["cosine", "inverse_sqrt"] = "cosine"
    warmup_steps: int = 300
    """In a config, by default at most a tenth of `run.max_steps`."""
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    label_smoothing: float = 0.1
    ema: float = 0.999
    """Decay of the exponential moving average of the weights, which is what gets saved; 0 = off."""

    def __post_init__(self) -> None:
        for name, high in (("label_smoothing", 1.0), ("ema", 1.0)):
            if not 0 <= getattr(self, name) < high:
                raise ConfigError(f"optimizer.{name}: {getattr(self, name)} is not in [0, {high}).")
        for name in ("learning_rate", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"optimizer.{name}: {getattr(self, name)} must be above 0.")
        for name in ("warmup_steps", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"optimizer.{name}: {getattr(self, name)} must not be negative.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ShortlistConfig:
    """Target pieces that decoding may be restricted to; learned at the start of the run."""

    candidates: int = 100
    """Translations kept for each source piece; 0 = no shortlist."""
    frequent: int = 100
    """The most frequent target pieces, allowed in every sentence."""
    max_links: int = 50_000_000
    """A larger corpus is sampled; a pair has about source pieces * target pieces links."""

    def __post_init__(self) -> None:
        for name, low in (("candidates", 0), ("frequent", 0), ("max_links", 1)):
            if getattr(self, name) < low:
                raise ConfigError(
                    f"shortlist.{name}: {getattr(self, name)} is too small. Use {low} or more."
                )
        if self.candidates > MAX_CANDIDATES:
            raise ConfigError(
                f"shortlist.candidates: {self.candidates} is too large. "
                f"Use {MAX_CANDIDATES} or less."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """Length, intervals and hardware of the run."""

    max_steps: int | None = None
    max_minutes: float | None = None
    """Minutes of the whole command; with both, the run ends at whichever comes first."""
    batch_tokens: int | Literal["auto"] = 2000
    """Source and target pieces in a batch, padding included; auto = as many as the memory holds."""
    accumulate: int = 1
    """Parts of a batch that a process computes one after another, to need less memory."""
    truncated_bptt: int = 0
    """Source pieces of a chunk, at whose borders gradients through recurrent layers end; 0 = off.

    For long input: only one chunk at a time takes the memory that gradients need.
    """
    eval_every: int | Literal["auto"] = 500
    """Steps between validations, each of which also saves a checkpoint; auto = about eight."""
    log_every: int = 50
    keep: int = 0
    """Latest checkpoints that stay, besides the best and the last one: for `dragoman-average`."""
    patience: int = 0
    """Stop after this many validations without a better one (see validation.best); 0 = never."""
    seed: int = 1
    threads: int = 0
    """CPU threads; 0 = one for each core that the process may use."""
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    sample_lines: int = 3
    """Dev sentences whose translations each validation logs."""

    def __post_init__(self) -> None:
        if self.max_steps is None and self.max_minutes is None:
            raise ConfigError(
                "run.max_steps: missing, and so is run.max_minutes. Set one: how many updates, or "
                "how long."
            )
        if self.max_minutes is not None and not 0 < self.max_minutes <= MOST_MINUTES:
            raise ConfigError(
                f"run.max_minutes: {self.max_minutes} must be above 0 and at most {MOST_MINUTES:,}."
            )
        for name in ("max_steps", "batch_tokens", "accumulate", "eval_every", "log_every"):
            if getattr(self, name) not in ("auto", None) and getattr(self, name) < 1:
                raise ConfigError(f"run.{name}: {getattr(self, name)} is too small. Use 1 or more.")
        for name in ("truncated_bptt", "keep", "patience", "seed", "threads", "sample_lines"):
            if getattr(self, name) < 0:
                raise ConfigError(f"run.{name}: {getattr(self, name)} is negative. Use 0 or more.")
        for name, most in (("seed", 2**63 - 1), ("threads", 1024)):  # torch takes no more
            if getattr(self, name) > most:
                raise ConfigError(f"run.{name}: {getattr(self, name)} is above {most}. Lower it.")

    @property
    def tokens(self) -> int:
        """`batch_tokens` as a number; `resolve_config` has replaced `auto`."""
        assert self.batch_tokens != "auto"
        return self.batch_tokens


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """One training run. `model.vocab_size` is not written by hand: it is the tokenizer's."""

    data: DataConfig
    run: RunConfig
    source: SequenceConfig = field(default_factory=SequenceConfig)
    target: SequenceConfig = field(default_factory=SequenceConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    search: SearchOptions = field(default_factory=SearchOptions)
    shortlist: ShortlistConfig = field(default_factory=ShortlistConfig)

    def __post_init__(self) -> None:
        check_kinds(self.source, self.target)
        if self.target.kind == "symbols":
            check_text_keys(self)
        if self.has_vectors:
            check_vector_keys(self)
        elif self.data.windows is not None:
            raise ConfigError(VECTORS_ON_BOTH)
        check_metrics(self)
        self.objective.check_copying(self.model.copy)
        self.objective.check_dropout(self.model.dropout, self.model.embedding_dropout)
        if self.run.truncated_bptt > self.model.max_length:
            raise ConfigError(
                f"run.truncated_bptt: {self.run.truncated_bptt} is above model.max_length "
                f"{self.model.max_length}, so no source would be divided. Lower it, or leave it "
                "out."
            )
        for name in ("scheduled_sampling", "coverage"):
            if self.run.max_steps is None and getattr(self.objective, name):
                raise ConfigError(
                    f"objective.{name}: its time is a share of run.max_steps. Set that, with or "
                    "without run.max_minutes."
                )
        steps = math.inf if self.run.max_minutes else self.run.max_steps
        if self.optimizer.warmup_steps > (steps or math.inf):
            raise ConfigError(
                f"optimizer.warmup_steps: {self.optimizer.warmup_steps} is above run.max_steps "
                f"{self.run.max_steps}, so the learning rate would never reach its peak. Lower it."
            )

    @property
    def has_vectors(self) -> bool:
        """Whether the source or the target is vectors."""
        return "vectors" in (self.source.kind, self.target.kind)


def parse_config(
    text: str, overrides: Sequence[str] = (), *, check_files: bool = False
) -> TrainConfig:
    """Parse YAML `text`, changed by `section.key=value` overrides.

    Args:
        check_files: also make sure that the files of the data exist.

    Raises:
        ConfigError: it is not YAML, or not a mapping.
        ConfigErrors: with a line for each mistake, in the order of the text: what
            `model.config.from_dict` and the sections refuse.
    """
    values = parse_yaml(text)
    if not isinstance(values, dict):
        raise ConfigError("the config is empty or not a mapping of sections. See configs/.")
    for section in _SECTIONS:
        if values.get(section) is None and (section in values or section in _NEEDED):
            values[section] = {}  # all keys left out, or commented out
    lines = [line for override in overrides for line in _override(values, override)]
    lines += _complete(values)
    collector = Collector(hint=partial(key_hint, sections=_SECTIONS), stand_ins=_STAND_INS)
    config, more = collector.build(TrainConfig, values)
    lines += more
    if check_files and isinstance(values["data"], dict):
        tokenizer = values.get("tokenizer")
        model = tokenizer.get("model") if isinstance(tokenizer, dict) else None
        lines += missing_files(values["data"], model)
    if lines:
        raise ConfigErrors(sorted(lines, key=partial(_place, values)))
    assert config is not None
    return config


_SECTIONS: dict[str, type] = get_type_hints(TrainConfig)
_NEEDED = ("data", "run", "model")
_FOLLOWING = {"vocab_size": "tokenizer.vocab_size", "source_width": "source.width"}
_FOLLOWING |= {"target_width": "target.width"}
"""Keys of `model` that are not written by hand, and what they follow."""
_STAND_INS: dict[str, object] = {
    "data.train": (SOME_CORPUS,),
    "data.dev": SOME_CORPUS,
    "run.max_steps": sys.maxsize,
}


def _complete(values: dict[str, Any]) -> list[str]:
    """Add the defaults that depend on other keys; return what is wrong with those."""
    lines = []
    sections = {name: values.get(name, {}) for name in _SECTIONS}
    data, run, tokenizer, optimizer = (
        sections[name] if isinstance(sections[name], dict) else {}
        for name in ("data", "run", "tokenizer", "optimizer")
    )
    for side in ("source", "target"):
        if not isinstance(sections[side], dict):
            values[side] = {}
            lines.append(
                f"{side}: it is a mapping, such as {{kind: pieces}}. The corpora are 'data.train', "
                "a list such as [{source: FILE, target: FILE}]."
            )
    if isinstance(values["data"], dict):
        values["data"] = with_text_of_split(as_corpora(values["data"]))
    if isinstance(values["model"], dict):
        for key, followed in _FOLLOWING.items():
            if values["model"].get(key, 0) != 0:
                lines.append(f"model.{key}: it follows {followed}. Set that one.")
        size = tokenizer.get("vocab_size")
        fits = isinstance(size, int) and 1 <= size <= MOST["vocab_size"]
        values["model"] = {**values["model"], "vocab_size": size if fits else VOCAB_SIZE}
    task = data.get("task")
    task = task if task in list(OF_TASK) else "translate"
    if isinstance(sections["search"], dict):
        values["search"] = with_search_of(task, sections["search"])
    _complete_by_kind(values, task)
    steps = run.get("max_steps")
    if (
        "warmup_steps" not in optimizer
        and isinstance(steps, int)
        and isinstance(sections["optimizer"], dict)
    ):
        most = OptimizerConfig().warmup_steps
        values["optimizer"] = {**optimizer, "warmup_steps": max(0, min(most, steps // 10))}
    return lines


def _complete_by_kind(values: dict[str, Any], task: str) -> None:
    """Add the defaults that depend on what the model reads and gives."""
    kinds = source, target = kind_of(values, "source"), kind_of(values, "target")
    if "vectors" in kinds and kinds in KINDS and isinstance(values["model"], dict):
        values["model"] = with_vector_sizes(values["model"], values)
    validation, shortlist, search = (
        values.get(name, {}) for name in ("validation", "shortlist", "search")
    )
    if isinstance(validation, dict):
        if target == "vectors":
            values["validation"] = with_vector_metrics(validation)
        elif target == "symbols":
            values["validation"] = with_symbol_metrics(validation)
        else:
            values["validation"] = with_metrics_of(task, validation)
    if kinds != ("pieces", "pieces") and isinstance(shortlist, dict):
        values["shortlist"] = {"candidates": 0, **shortlist}
    if source == "vectors" != target and isinstance(search, dict):
        values["search"] = with_search_over_vectors(search)


def _place(values: object, line: str) -> tuple[int, ...]:
    """The place of a message in a config by the path that it begins with, to sort by."""
    place: list[int] = []
    for part in re.findall(r"\w+", line.partition(": ")[0]):
        if isinstance(values, dict):
            keys = list(map(str, values))
            place.append(keys.index(part) if part in keys else len(keys))
            values = values.get(part)
        elif isinstance(values, list) and part.isdecimal():
            place.append(int(part))
            values = values[int(part)] if int(part) < len(values) else None
    return tuple(place)


NAME_ONE = (
    "Name a config file (a clone has some in configs/, each run its config.yaml), or give --source "
    "and --target without one."
)


def load_config(
    path: Path, overrides: Sequence[str] = (), *, check_files: bool = False
) -> TrainConfig:
    """Read and parse the file `path`; see `parse_config`."""
    try:
        text = whole_text(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. {NAME_ONE}") from None
    except DataError as error:
        raise ConfigError(f"{error} Or name another YAML file, see configs/.") from None
    try:
        return parse_config(text, overrides, check_files=check_files)
    except ConfigError as error:
        raise ConfigErrors([f"{path}: {line}" for line in error.lines]) from None


def save_config(config: TrainConfig, path: Path) -> None:
    """Write `config` with defaults and overrides, so that it trains this very run again."""
    values = to_dict(config)
    values["model"] = {k: v for k, v in to_dict(config.model).items() if k not in _FOLLOWING}
    with atomic_output(path) as file:
        file.write(yaml.safe_dump(values, sort_keys=False, allow_unicode=True).encode())


def _override(values: dict[str, object], override: str) -> list[str]:
    """Set what `override` says in `values`; return what is wrong with it."""
    name, equals, text = override.partition("=")
    if not equals or not all(name.split(".")) or "." not in name:
        return [f"{shortened(override, _SHOWN)!r}: write an override as section.key=value."]
    try:
        value = parse_yaml(text)
    except ConfigError as error:
        return [f"{shortened(override, _SHOWN)}: {error} Quote it."]
    node = values
    for part in name.split(".")[:-1]:
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            return [f"{shortened(override, _SHOWN)!r}: {part} is not a section."]
        node = cast(dict[str, object], child)
    node[name.split(".")[-1]] = value
    return []
