"""Parsing raw records: extracts the pair of a line or a row, or says what is wrong with it."""

import json
import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from model.errors import DataError
from model.io.lines import decode_line
from model.jobs.formats import parse_object
from model.text.charset import half_character

RawRecord: TypeAlias = tuple[bytes | float | None, ...]
"""A line, or one of each side; or the values of a row: source, target and perhaps weight."""

MOST_WEIGHT = 1e6
"""Greatest weight of a pair: more would outweigh all others of a batch, or exceed fp32."""

_SHOWN = 20
"""Most names, or characters of a value, in a message."""


class NotText(DataError):
    """A line that is not UTF-8, or a string that no UTF-8 can hold."""


class Pair(NamedTuple):
    """A source, its target, and their weight in the loss."""

    source: str
    target: str
    weight: float


def text_pair(number: int, raw: RawRecord, *, names: tuple[str, str]) -> Pair:
    """Parse the pair of two lines, from the files `names`."""
    source, target = raw
    assert isinstance(source, bytes) and isinstance(target, bytes)
    try:
        return Pair(source.decode(), target.decode(), 1.0)
    except UnicodeDecodeError:  # rare: only now is it worth finding out which and where
        for line, name in zip(raw, names, strict=True):
            _decoded(line, f"{name}, line {number}")
        raise


def tsv_pair(number: int, raw: RawRecord, *, name: str, columns: tuple[int, ...]) -> Pair:
    """Parse a line of columns: source, target and perhaps weight; a blank line is a blank pair.

    Raises:
        DataError: the line has too few columns, or a weight is no number.
    """
    where = f"{name}, line {number}"
    line = _decoded(raw[0], where)
    if not line.strip():
        return Pair("", "", 1.0)
    try:
        source, target, *weight = tsv_fields(line, columns)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    return Pair(source, target, _weight(weight[0], where) if weight else 1.0)


def tsv_fields(line: str, columns: Sequence[int]) -> list[str]:
    """Select the `columns` of a line, numbered from 0.

    Raises:
        DataError: it has too few.
    """
    found = line.split("\t")
    if len(found) <= max(columns):
        there = "no tab" if len(found) == 1 else f"{len(found)} columns"
        raise DataError(
            f"{there}, but number {max(columns) + 1} is asked for. Mend the line, or ask for "
            "another column."
        )
    return [found[column] for column in columns]


def json_pair(number: int, raw: RawRecord, *, name: str, fields: tuple[str, str, str]) -> Pair:
    """Parse a line of JSON; a blank line is a blank pair. `fields`: see `field_value`.

    Raises:
        DataError: it is no JSON object, or one of the fields is missing or of another type.
    """
    where = f"{name}, line {number}"
    line = _decoded(raw[0], where)
    if not line.strip():
        return Pair("", "", 1.0)
    try:
        found = parse_object(line)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    texts = []
    for field in fields:
        if field and field_value(found, field) is None:
            raise DataError(
                f"{where}: no {json.dumps(field)}, only {', '.join(_names(found)[:_SHOWN])}. Name "
                "the fields with source_column, target_column and weight_column, or mend the line."
            )
    for field in fields[:2]:
        text = field_value(found, field)
        if not isinstance(text, str):
            raise DataError(
                f"{where}: {json.dumps(field)} holds {json.dumps(text)[:_SHOWN]}, not a string. "
                "Name another field, or mend the line."
            )
        if wrong := half_character(text):
            raise NotText(f"{where}: {json.dumps(field)}: {wrong}")
        texts.append(text)
    weight = _weight(field_value(found, fields[2]), where) if fields[2] else 1.0
    return Pair(texts[0], texts[1], weight)


def row_pair(number: int, raw: RawRecord, *, name: str) -> Pair:
    """Parse a row: texts in UTF-8, where null is blank, and perhaps a weight.

    Raises:
        DataError: a weight is no number that can be used.
    """
    where = f"{name}, row {number}"
    source, target = (_decoded(value or b"", where) for value in raw[:2])
    return Pair(source, target, _weight(raw[2], where) if len(raw) > 2 else 1.0)


def field_value(fields: object, name: str) -> object:
    """Find the field `name`; dots lead into nested objects, if no field has the whole name."""
    if not isinstance(fields, dict):
        return None
    if name in fields:
        return fields[name]
    first, _, rest = name.partition(".")
    return field_value(fields.get(first), rest) if rest else None


def _names(fields: object, before: str = "") -> list[str]:
    """List the names by which `field_value` finds values, except null and objects."""
    if not isinstance(fields, dict):
        return [] if fields is None else [before.removesuffix(".")]
    return [name for key, value in fields.items() for name in _names(value, f"{before}{key}.")]


def _decoded(line: bytes | float | None, where: str) -> str:
    assert isinstance(line, bytes)
    try:
        return decode_line(line)
    except DataError as error:
        raise NotText(f"{where}: {error}") from error


def _weight(value: object, where: str) -> float:
    try:
        weight = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        weight = math.nan
    if not 0 <= weight <= MOST_WEIGHT:
        raise DataError(f"{where}: weight {value!r}. Give a number from 0 to {MOST_WEIGHT:,.0f}.")
    return weight
