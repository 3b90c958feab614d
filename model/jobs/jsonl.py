"""Lines of JSON: an object with a text and its own search options in, the same with more out."""

import json
import math
from collections.abc import Callable
from typing import NoReturn

from model.config import from_dict, to_dict
from model.decoding.options import SearchOptions
from model.errors import DataError
from model.jobs.record import Record
from model.text.charset import half_character
from model.translation import Translation


def parse_json(
    line: str, defaults: SearchOptions, check: Callable[[SearchOptions], None], field: str
) -> Record:
    """The record of a line that is not blank.

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
    return Record(text, options, lambda translation: _line(fields, options, translation))


def parse_object(line: str) -> dict[str, object]:
    """The fields of a line of JSON.

    Raises:
        DataError: it is not a JSON object, or not one that can be written again.
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
    first, *others = (hypothesis.to_json() for hypothesis in translation.hypotheses)
    result = fields | first | {"source_pieces": translation.source_pieces}
    if translation.truncated_source is not None:
        result["truncated_source"] = translation.truncated_source
    if options.n_best > 1:
        result["alternatives"] = others
    return json.dumps(result, ensure_ascii=False)
