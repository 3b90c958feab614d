"""Collecting mistakes: a dataclass built from a mapping, and everything that is wrong with it."""

import dataclasses
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from model.config import convert, is_required, missing_key, unknown_key, wrong_type
from model.errors import ConfigError

T = TypeVar("T")

Hint = Callable[[str, str, Sequence[str]], str]
"""Takes the path of a mapping, an unknown key and the known ones; says what to write instead."""


class _Wrong:
    """In place of a value that cannot be had, since there is a mistake in it."""


_WRONG: Final = _Wrong()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Collector:
    """Builds dataclasses as `model.config.from_dict` does, but goes on after a mistake."""

    hint: Hint
    stand_ins: Mapping[str, object]
    """By their paths, values in place of required ones that are missing or wrong, so that the rest
    of their mapping can be checked."""

    def build(
        self, cls: type[T], values: Mapping[str, object], where: str = ""
    ) -> tuple[T | None, list[str]]:
        """Build `cls`; return None in its place if there are mistakes, and a line for each."""
        built, lines, meant = self._convert_all(cls, values, where)
        missing = [name for name, value in built.items() if value is _WRONG]
        if all(_with_default(cls, name) or f"{where}{name}" in self.stand_ins for name in missing):
            made, more = self._construct(cls, built, where, meant)
            lines += more
            return (None if lines else made), lines
        return None, lines

    def _convert_all(
        self, cls: type, values: Mapping[str, object], where: str
    ) -> tuple[dict[str, object], list[str], list[str]]:
        """Convert each value that is given; a wrong one, and a missing one, is `_WRONG`.

        Returns:
            The values, a line for each mistake, and the keys that unknown ones may stand for.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        hints = get_type_hints(cls)
        built: dict[str, object] = {}
        lines, hinted = [], ""
        for key in map(str, values):
            if key in fields:
                built[key], more = self._convert(hints[key], values[key], f"{where}{key}")
                lines += more
            else:
                hint = self.hint(where, key, list(fields))
                hinted += hint
                lines.append(unknown_key(where, key, list(fields), hint))
        meant = [name for name in fields if re.search(rf"['.]{name}'", hinted)]
        for name, field in fields.items():
            if name not in values and is_required(field):
                built[name] = _WRONG
                if name not in meant:
                    lines.append(missing_key(where, name))
        return built, lines, meant

    def _convert(self, hint: Any, value: object, path: str) -> tuple[object, list[str]]:
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, Mapping):
                return _WRONG, [wrong_type(path, value, "a mapping of keys to values")]
            made, lines = self.build(typing.cast(type[object], hint), value, f"{path}.")
            return (_WRONG if lines else made), lines
        if get_origin(hint) is tuple and isinstance(value, list | tuple):
            each = [
                self._convert(get_args(hint)[0], item, f"{path}[{i}]")
                for i, item in enumerate(value)
            ]
            lines = [line for _, told in each for line in told]
            return (_WRONG if lines else tuple(item for item, _ in each)), lines
        try:
            return convert(hint, value, path), []
        except ConfigError as error:
            return _WRONG, [str(error)]

    def _construct(
        self, cls: type[T], built: Mapping[str, object], where: str, meant: Sequence[str]
    ) -> tuple[T | None, list[str]]:
        """Call `cls`; leave out one value after another that it refuses, until it refuses none.

        What it says in view of a value that is left out, or that `meant` tells is there under an
        unknown key, is not told.
        """
        known = {name: value for name, value in built.items() if value is not _WRONG}
        left_out = [name for name in built if name not in known]
        lines: list[str] = []
        while True:
            standing_in = {
                name: self.stand_ins[f"{where}{name}"]
                for name in left_out
                if f"{where}{name}" in self.stand_ins
            }
            try:
                return cls(**known, **standing_in), lines
            except ConfigError as error:
                line = str(error).removeprefix(where)
            key = _key(line)
            unsure = left_out if key in known else [*left_out, *meant]
            if not any(re.search(rf"\b{name}\b", line) for name in unsure):
                lines.append(_with_path(cls, line, where))
            if key not in known or not (
                _with_default(cls, key) or f"{where}{key}" in self.stand_ins
            ):
                return None, lines
            del known[key]
            left_out.append(key)


def _key(line: str) -> str:
    """The key that a line begins with, if any."""
    found = re.match(r"(\w+)[:.\[]", line)
    return found[1] if found else ""


def _with_path(cls: type, line: str, where: str) -> str:
    if not where or _key(line) in {field.name for field in dataclasses.fields(cls)}:
        return f"{where}{line}"
    return f"{where[:-1]}: {line}"


def _with_default(cls: type, name: str) -> bool:
    return not any(field.name == name and is_required(field) for field in dataclasses.fields(cls))
