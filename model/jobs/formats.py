"""The formats of a corpus: how to recognise them, and how to read and write their records.

A record is one line, or value, of a corpus. A line of JSON is an object with a text and optional
search options; the output is the same object with further fields.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NoReturn, get_args

from model.config import from_dict, to_dict
from model.decoding.options import SearchOptions
from model.errors import ConfigError, DataError
from model.io.compression import plain_suffix
from model.text.charset import half_character
from model.translation.assemble import Translation


@dataclass(frozen=True, slots=True)
class CorpusRecord:
    """What to translate, with which options, and how to write the result."""

    text: str
    options: SearchOptions
    line: Callable[[Translation], str]
    """Makes the line of output, without its LF, from a translation of `text`."""


def parse_json(
    line: str, defaults: SearchOptions, check: Callable[[SearchOptions], None], field: str
) -> CorpusRecord:
    """Parse a line that is not blank.

    Raises:
        DragomanError: it is not JSON, has no text, or its options are wrong or refused by `check`.
    """
    fields = parse_object(line)
    text = fields.get(field)
    if not isinstance(text, str):
        example = json.dumps({field: "Hallo"}, ensure_ascii=False)
        raise DataError(f'no "{field}" that is a string. Give an object like {example}.')
    if wrong := half_character(text):
        raise DataError(f'"{field}": {wrong}')
    given = fields.get("options", {})
    if not isinstance(given, dict):
        raise DataError('"options" is not an object. Give one like {"beam_size": 1}.')
    options = defaults
    if given:
        options = from_dict(SearchOptions, to_dict(defaults) | given, "options.")
        check(options)
    return CorpusRecord(text, options, lambda translation: _line(fields, options, translation))


def parse_object(line: str) -> dict[str, object]:
    """Parse the fields of a line of JSON.

    Raises:
        DataError: it is not a JSON object, or one that cannot be written again.
    """
    try:
        fields = json.loads(line, parse_constant=_refuse, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON ({error.msg} at column {error.colno}). Mend it.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON that can be written again ({error}). Mend it.") from error
    if not isinstance(fields, dict):
        raise DataError('not a JSON object. Give one like {"text": "Hallo"}.')
    return fields


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is too large")
    return number


def _line(fields: dict[str, object], options: SearchOptions, translation: Translation) -> str:
    result = fields | fields_of(translation, several=options.n_best > 1)
    return json.dumps(result, ensure_ascii=False)


def fields_of(translation: Translation, *, several: bool) -> dict[str, object]:
    """What a line of JSON tells of a translation; its `alternatives` only if there are several."""
    first, *others = (hypothesis.to_json() for hypothesis in translation.hypotheses)
    result: dict[str, object] = first | {"source_pieces": translation.source_pieces}
    if translation.truncated_source is not None:
        result["truncated_source"] = translation.truncated_source
    if translation.whole_source is not None:
        result["whole_source"] = asdict(translation.whole_source)
    if translation.windows:
        result["windows"] = [window.to_json() for window in translation.windows]
    if several:
        result["alternatives"] = others
    return result


FormatName = Literal["text", "tsv", "jsonl", "parquet"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)

TRANSLATION = "translation"
"""Name of the new column of a TSV file with a header, or of a Parquet file."""

_SUFFIXES: dict[str, FormatName] = {
    ".txt": "text",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordFormat:
    """How the records of one corpus are read and written."""

    name: FormatName
    unit: Literal["line", "row"]
    parse: Callable[[int, str], CorpusRecord]
    """Parses a line (or value), given its number from 1. May raise DragomanError."""
    blank: bytes
    """Stands in the output for a record that is not translated."""


def format_named(given: FormatName | None, source: str, output: str) -> FormatName:
    """The format `given`, else the one implied by the name of the input, by default text.

    Raises:
        ConfigError: none is given, and the name of the output implies another one.
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
    return _SUFFIXES.get(plain_suffix(Path(name)))


def field_named(name: FormatName, given: str | None) -> str | None:
    """The field of a record that has the text: `given` or the default; None if there are no fields.

    Raises:
        ConfigError: the format has no such field, or no field could have that name.
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
) -> RecordFormat:
    """How to read and write a corpus of the format `name`.

    Args:
        field: from `field_named`: in TSV the number of a column, from 1, or its name in the header.
        options: options for records without their own.
        check: raises RequestError for options that a record must not have.
        first_line: returns the header of a TSV file; called only if `field` is a name.

    Raises:
        DataError: the header has no such column.
    """
    parse: Callable[[int, str], CorpusRecord]
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
    return RecordFormat(
        name=name,
        unit="row" if name == "parquet" else "line",
        parse=parse,
        blank=b"null\n" if name == "parquet" else b"\n",
    )


def one_line(text: str) -> str:
    """Replace each line break by a space: the model can spell one out, byte by byte."""
    return re.sub(r"\r*\n", " ", text)


def _parse_text(number: int, line: str, options: SearchOptions) -> CorpusRecord:
    return CorpusRecord(line, options, lambda translation: one_line(translation.text))


def _parse_json(
    number: int,
    line: str,
    options: SearchOptions,
    check: Callable[[SearchOptions], None],
    field: str,
) -> CorpusRecord:
    if not line.strip():  # a blank text is a text like any other
        return CorpusRecord(line, options, lambda translation: translation.text)
    return parse_json(line, options, check, field)


def _parse_tsv(
    number: int, line: str, options: SearchOptions, index: int, has_header: bool
) -> CorpusRecord:
    def with_column(translation: Translation) -> str:
        return line + "\t" + one_line(translation.text).replace("\t", " ")

    if not line.strip():
        return CorpusRecord(line, options, lambda translation: translation.text)
    if has_header and number == 1:
        return CorpusRecord("", options, lambda translation: f"{line}\t{TRANSLATION}")
    columns = line.split("\t")
    if index >= len(columns):
        raise DataError(
            f"{len(columns)} column(s), but --field asks for number {index + 1}. Mend the line."
        )
    return CorpusRecord(columns[index], options, with_column)


def _parse_value(number: int, text: str, options: SearchOptions) -> CorpusRecord:
    """Parse a value of a column; its output is JSON until the column is written."""
    return CorpusRecord(
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
