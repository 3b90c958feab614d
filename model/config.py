"""Configuration: frozen dataclasses, built from plain mappings and checked at the edge."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from model.errors import ConfigError
from model.text.charset import half_character
from model.text.nearest import nearest
from model.text.printable import shortened

T = TypeVar("T")

_SHOWN = 40  # characters of an unknown key
_VALUE_SHOWN = 200  # and of a wrong value


def from_dict(cls: type[T], values: Mapping[str, object], where: str = "") -> T:
    """Build the dataclass `cls` from a mapping, for instance a parsed YAML or JSON file.

    `where` is the dotted path of the mapping, for messages. Nested dataclasses are built from
    nested mappings.

    Raises:
        ConfigError: an unknown key (the nearest known one is suggested), a missing key, a value of
            the wrong type, or whatever the dataclass itself refuses in `__post_init__`.
    """
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, cls))}
    for key in map(str, values):
        if key not in fields:
            raise ConfigError(unknown_key(where, key, list(fields)))
    hints = typing.get_type_hints(cls)
    built: dict[str, object] = {}
    for name, field in fields.items():
        if name in values:
            built[name] = convert(hints[name], values[name], f"{where}{name}")
        elif is_required(field):
            raise ConfigError(missing_key(where, name))
    return cls(**built)


def to_dict(config: object) -> dict[str, object]:
    """Turn `config` into a plain mapping, from which `from_dict` makes an equal one."""
    plain = dataclasses.asdict(typing.cast(Any, config))
    return typing.cast(dict[str, object], _plain(plain))


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def unknown_key(where: str, key: str, known: list[str], hint: str = "") -> str:
    """A one-line message about the unknown `key` of the mapping at the dotted path `where`.

    `hint` is what to write in its place; by default the most similar of the `known` keys, or all.
    """
    if not hint:
        names = nearest(key, known)
        guess = " or ".join(map(repr, names))
        hint = f"Did you mean {guess}?" if names else f"Known keys: {', '.join(known)}."
    return f"{where}{shortened(key, _SHOWN)}: unknown key. {hint}"


def missing_key(where: str, key: str) -> str:
    """A one-line message about a `key` that the mapping at the dotted path `where` lacks."""
    return f"{where}{key}: missing. Add it: it has no default."


def is_required(field: "dataclasses.Field[Any]") -> bool:
    """Whether a dataclass cannot be built without this field."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def convert(hint: Any, value: object, path: str) -> object:
    """Convert `value` to the type `hint`; a whole number is accepted for a float.

    Raises:
        ConfigError: it is of another type; the message begins with `path`.
    """
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(hint), value, path)
    if origin is Literal:
        if value not in get_args(hint) or isinstance(value, bool):
            allowed = ", ".join(str(choice) for choice in get_args(hint))
            raise ConfigError(f"{path}: {_repr(value)} is not allowed. Choose one of: {allowed}.")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(wrong_type(path, value, "a list"))
        return tuple(
            convert(get_args(hint)[0], item, f"{path}[{i}]") for i, item in enumerate(value)
        )
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(wrong_type(path, value, "a mapping of keys to values"))
        return from_dict(typing.cast(type[object], hint), value, f"{path}.")
    return _scalar(hint, value, path)


def _one_of(hints: tuple[Any, ...], value: object, path: str) -> object:
    """Convert `value` to the alternative of a union that it looks like, else to the first one."""
    if value is None and type(None) in hints:
        return None
    choices = [hint for hint in hints if hint is not type(None)]
    fitting = next((hint for hint in choices[1:] if _fits(hint, value)), None)
    if fitting is not None:
        return convert(fitting, value, path)
    try:
        return convert(choices[0], value, path)
    except ConfigError as error:
        words = [w for hint in choices[1:] if get_origin(hint) is Literal for w in get_args(hint)]
        raise ConfigError(str(error) + "".join(f" Or write {word}." for word in words)) from None


def _fits(hint: Any, value: object) -> bool:
    """Whether `value` looks like this alternative of a union."""
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple)
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    return isinstance(value, str if hint is Path else hint) and not isinstance(value, bool)


def _scalar(hint: Any, value: object, path: str) -> object:
    if isinstance(value, str) and (wrong := half_character(value)):
        raise ConfigError(f"{path}: {wrong}")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return _float(value, path)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
        message = wrong_type(path, value, names.get(hint, "a path"))
        if hint is float and isinstance(value, str) and value[:1].isdigit():
            message += " YAML reads 1e-3 as text: write 0.001."
        raise ConfigError(message)
    return value


def _float(value: int, path: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ConfigError(f"{path}: {_repr(value)} is too large.") from None


def wrong_type(path: str, value: object, wanted: str) -> str:
    """A one-line message about a value at the dotted path `path` that should be `wanted`."""
    return f"{path}: {_repr(value)} is not allowed, it must be {wanted}."


def _repr(value: object) -> str:
    return shortened(repr(value), _VALUE_SHOWN)


MOST = {
    "vocab_size": 1_000_000,
    "embedding_size": 16_384,
    "encoder_layers": 64,
    "encoder_size": 16_384,
    "decoder_layers": 64,
    "decoder_size": 16_384,
    "attention_heads": 16_384,
    "max_length": 10_000,
    "source_width": 16_384,
    "target_width": 16_384,
}
"""The largest sizes of a `ModelConfig`, several times those of any published network of its kind.
A config may come from a stranger, and memory is taken by its sizes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The architecture. It travels with the weights: nothing else is needed to rebuild the network.

    The dropout rates act in training only.
    """

    vocab_size: int
    """Pieces in the shared source-target vocabulary."""
    embedding_size: int = 256
    encoder_layers: int = 2
    encoder_size: int = 512
    """Width H of the encoder's outputs: both directions together, so it must be even."""
    decoder_layers: int = 2
    decoder_size: int = 512
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    attention: Literal["general", "dot", "additive", "aligned"] = "general"
    """`aligned` is for outputs of one vector for each source step: step i reads what the encoder
    knows at step i, and nothing else."""
    attention_heads: int = 1
    """More than one only with `general`: the heads divide the decoder and encoder widths."""
    input_feeding: bool = True
    """Feed the attentional vector back into the first layer (Luong 2015, 3.3)."""
    copy: bool = False
    """Mix the output with the attention over the source's pieces (See et al. 2017, eq. 9)."""
    coverage: bool = False
    """Let the attention read the sum of its past weights (See et al. 2017, eq. 10 and 11)."""
    tie_embeddings: bool = True
    """One matrix for source, target and output embeddings; three matrices if false."""
    dropout: float = 0.3
    """Rate on the outputs between layers and on the attentional vector."""
    embedding_dropout: float = 0.1
    """Rate on embedded pieces."""
    word_dropout: float = 0.0
    """Probability that training replaces an input piece by UNK, on both sides. It happens when data
    is read; the network itself is not involved."""
    max_length: int = 100
    """Most pieces of a sentence: training leaves out longer pairs, and translation cuts lines."""
    source_width: int = 0
    """Numbers in each vector of a source; 0 for sources of pieces."""
    target_width: int = 0
    """Likewise of the outputs."""
    bidirectional: bool = True
    """Whether the encoder also reads backwards; if not, its outputs know only what came before.
    Only with vectors, as `first_state`."""
    first_state: Literal["bridge", "zeros", "learned"] = "bridge"
    """The decoder's state before its first step: made of the whole source, zeros, or learned."""

    @property
    def has_vectors(self) -> bool:
        """Whether the source or the output is vectors."""
        return bool(self.source_width or self.target_width)

    def __post_init__(self) -> None:
        for name, most in MOST.items():
            size, least = getattr(self, name), 0 if name.endswith("_width") else 1
            if size < least:
                raise ConfigError(f"model.{name}: {_repr(size)} is too small. Use {least} or more.")
            if size > most:
                raise ConfigError(f"model.{name}: {_repr(size)} is too large. Use {most} or less.")
        for name in ("dropout", "embedding_dropout", "word_dropout"):
            if not 0 <= getattr(self, name) <= 0.9:
                raise ConfigError(f"model.{name}: {getattr(self, name)} is not in 0 to 0.9.")
        if self.encoder_size % 2:
            raise ConfigError(
                f"model.encoder_size: {self.encoder_size} is odd, but the two directions share it. "
                f"Use {self.encoder_size + 1}."
            )
        self._check_attention()
        self._check_vectors()

    def _check_vectors(self) -> None:
        if not self.has_vectors:
            for name, usual in (("bidirectional", "true"), ("first_state", "bridge")):
                if getattr(self, name) not in (True, "bridge"):
                    raise ConfigError(
                        f"model.{name}: only {usual}, unless source or target are vectors."
                    )
        elif self.tie_embeddings:
            raise ConfigError(
                "model.tie_embeddings: vectors have no embeddings that could be tied. Use false."
            )
        if self.attention == "aligned" and not self.target_width:
            raise ConfigError(
                "model.attention: aligned needs a target of vectors. Use general, dot or additive."
            )
        if (self.copy or self.coverage) and self.has_vectors:
            name = "copy" if self.copy else "coverage"
            raise ConfigError(f"model.{name}: only for pieces, not for vectors. Use false.")

    def _check_attention(self) -> None:
        heads = self.attention_heads
        if heads > 1 and self.attention != "general":
            raise ConfigError(
                f"model.attention_heads: {heads} heads need attention: general, not "
                f"{self.attention}. Use 1 head or general attention."
            )
        if self.decoder_size % heads or self.encoder_size % heads:
            raise ConfigError(
                f"model.attention_heads: {heads} does not divide decoder_size {self.decoder_size} "
                f"and encoder_size {self.encoder_size}. Use a divisor of both."
            )
        if self.attention == "dot" and self.decoder_size != self.encoder_size:
            raise ConfigError(
                f"model.attention: dot needs decoder_size {self.decoder_size} equal to "
                f"encoder_size {self.encoder_size}. Make them equal or use general."
            )
