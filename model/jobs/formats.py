"""The formats of a corpus: which one a file has, and what a record of it brings and gets."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from model.decoding.options import SearchOptions
from model.errors import ConfigError, DataError
from model.jobs.jsonl import parse_json
from model.jobs.record import Record
from model.text.charset import half_character
from model.translation import Translation

FormatName = Literal["text", "tsv", "jsonl", "parquet"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)

TRANSLATION = "translation"
"""What the new column of a TSV file with a header, or of a Parquet file, is called."""

_SUFFIXES: dict[str, FormatName] = {
    ".txt": "text",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """How the records of one corpus are read and written."""

    name: FormatName
    unit: Literal["line", "row"]
    parse: Callable[[int, str], Record]
    """The record of a line (or value), given its number from 1. It raises DragomanError."""
    blank: bytes
    """What stands in the output for a record that is not translated."""


def format_named(given: FormatName | None, source: str, output: str) -> FormatName:
    """The format `given`, or else the one that the name of the input tells; text if it tells none.

    Raises:
        ConfigError: none is given, and the name of the output tells another one.
    """
    if given is not None:
        return given
    found = _by_suffix(source) or "text"
    if (_by_suffix(output) or found) != found:
        raise ConfigError(
            f"{output}: named like {_by_suffix(output)}, but the input is read as {found}, and the "
            "output has the format of the input. Add --format, or name the output otherwise."
        )
    return found


def _by_suffix(name: str) -> FormatName | None:
    path = Path(name)
    if path.suffix in (".gz", ".zst"):
        path = path.with_suffix("")
    return _SUFFIXES.get(path.suffix)


def field_named(name: FormatName, given: str | None) -> str | None:
    """Where in a record its text is: the field `given`, or the default; None where it is all text.

    Raises:
        ConfigError: the format has no such field, or no text could have that name.
    """
    if given is not None and (wrong := half_character(given)):
        raise ConfigError(f"--field: {wrong}")
    if name == "text":
        if given is not None:
            raise ConfigError("--field: text has no fields. Leave it out, or add --format tsv.")
        return None
    if name == "tsv":
        if given is not None and given.isdecimal() and int(given) == 0:
            raise ConfigError("--field: 0 is too small. Columns are counted from 1.")
        return given or "1"
    return given or "text"


def form_named(
    name: FormatName,
    field: str | None,
    options: SearchOptions,
    check: Callable[[SearchOptions], None],
    first_line: Callable[[], str],
) -> Form:
    """How to read and write a corpus of the format `name`.

    Args:
        field: of `field_named`: in TSV the number of a column, from 1, or its name in the header.
        options: of records without their own.
        check: raises RequestError for options that a record must not have.
        first_line: gives the header of a TSV file; called only if `field` is a name.

    Raises:
        DataError: the header has no such column.
    """
    parse: Callable[[int, str], Record]
    if name == "jsonl":
        assert field
        parse = partial(_parse_json, options=options, check=check, field=field)
    elif name == "tsv":
        assert field
        has_header = not field.isdecimal()
        index = _header_index(first_line(), field) if has_header else int(field) - 1
        parse = partial(_parse_tsv, options=options, index=index, has_header=has_header)
    else:
        parse = partial(_parse_value if name == "parquet" else _parse_text, options=options)
    return Form(
        name=name,
        unit="row" if name == "parquet" else "line",
        parse=parse,
        blank=b"null\n" if name == "parquet" else b"\n",
    )


def one_line(text: str) -> str:
    """`text` with a space for each line break: the model can spell one out, byte by byte."""
    return re.sub(r"\r*\n", " ", text)


def _parse_text(number: int, line: str, options: SearchOptions) -> Record:
    return Record(line, options, lambda translation: one_line(translation.text))


def _parse_json(
    number: int,
    line: str,
    options: SearchOptions,
    check: Callable[[SearchOptions], None],
    field: str,
) -> Record:
    if not line.strip():  # a text like any other
        return Record(line, options, lambda translation: translation.text)
    return parse_json(line, options, check, field)


def _parse_tsv(
    number: int, line: str, options: SearchOptions, index: int, has_header: bool
) -> Record:
    def with_column(translation: Translation) -> str:
        return line + "\t" + one_line(translation.text).replace("\t", " ")

    if not line.strip():
        return Record(line, options, lambda translation: translation.text)
    if has_header and number == 1:
        return Record("", options, lambda translation: f"{line}\t{TRANSLATION}")
    columns = line.split("\t")
    if index >= len(columns):
        raise DataError(
            f"{len(columns)} column(s), but --field asks for number {index + 1}. Mend the line."
        )
    return Record(columns[index], options, with_column)


def _parse_value(number: int, text: str, options: SearchOptions) -> Record:
    """A value of a column, which comes out as JSON until the column is written."""
    return Record(
        text, options, lambda translation: json.dumps(translation.text, ensure_ascii=False)
    )


def _header_index(header: str, column: str) -> int:
    names = header.split("\t")
    if column not in names:
        raise DataError(
            f"--field: {column!r} is not in the header ({', '.join(names)}). Name one of these, or "
            "give the number of the column."
        )
    return names.index(column)
