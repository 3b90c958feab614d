"""dragoman-translate: one line of text in, one line of translation out."""

import argparse
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from model.cli import (
    OK,
    STREAM,
    add_model_arguments,
    add_search_arguments,
    command_parser,
    input_lines,
    load_model,
    open_output,
    run_command,
    search_options,
)
from model.config import from_dict, to_dict
from model.decoding.options import SearchOptions
from model.decoding.selftest import rows_are_independent
from model.errors import ConfigError, DataError, DragomanError
from model.progress import bar_fits, line_progress
from model.text.lines import read_lines
from model.translation import Translation
from model.translator import WINDOW, Translator, windows

NAME = "dragoman-translate"

DESCRIPTION = """\
Translate text with a trained model: one line out for each line in, in the same order.
Blank lines come back unchanged. A line that is too long for the model is cut at sentence
ends or spaces, translated in parts and joined.

A line ends at LF; a CR before it is dropped. A line break that the model itself produces is
written as a space. Piped lines are translated together, 4,096 at a time. Input that is not
UTF-8 ends the command with the number of the line."""

EXAMPLE = """\
example:
  echo 'Das Brot kostet 4,20 Euro.' | dragoman-translate runs/demo
  dragoman-translate runs/demo --input in.txt --output out.txt

jsonl: each line is an object with the key "text" and, if you like, "options" (search options for
this line, such as {"beam_size": 1}). It comes back with all its keys and, in the place of any of
the same name, with translation, score, log_prob, pieces, alignment (for each piece the index of
the source piece that it attended to most), source_pieces and truncated (the length limit was
hit); with an n_best above 1 also with alternatives, a list of the other translations."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line of input."""

    text: str
    options: SearchOptions
    fields: dict[str, object] | None
    """What a jsonl line brought; None where a plain line goes out, as for all blank lines."""


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    return run_command(NAME, lambda: _translate(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(NAME, DESCRIPTION, EXAMPLE)
    add_model_arguments(parser)
    parser.add_argument(
        "--input",
        metavar="FILE",
        default=STREAM,
        help="UTF-8, gzip if it ends in .gz; - or nothing is standard input",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        default=STREAM,
        help="appears when it is complete, or not at all; - or nothing is standard output",
    )
    parser.add_argument("--format", choices=["text", "jsonl"], default="text", help="see below")
    add_search_arguments(parser)
    return parser


def _translate(arguments: argparse.Namespace) -> int:
    if arguments.format == "text" and (arguments.n_best or 1) > 1:
        raise ConfigError(
            f"--n-best {arguments.n_best}: text has one translation for each line. "
            "Use 1, or add --format jsonl."
        )
    model = load_model(NAME, arguments)
    checkpoint = model.checkpoint
    options = search_options(arguments, checkpoint.search)
    translator = Translator(
        checkpoint.network, checkpoint.tokenizer, options, device=model.device, dtype=model.dtype
    )
    if model.device.type == "cpu" and not rows_are_independent(checkpoint.network, model.dtype):
        print(
            f"{NAME}: on this machine the last bits of a score depend on neighbouring lines",
            file=sys.stderr,
        )
    records = _records(arguments.input, arguments.format, translator)
    # Someone who types lines wants each answer at once.
    size = 1 if arguments.input == STREAM and sys.stdin.isatty() else WINDOW
    total = _count_lines(arguments.input) if bar_fits() else None
    with open_output(arguments.output) as output, line_progress(NAME, total) as advance:
        for window in windows(records, size):
            items = [(record.text, record.options) for record in window]
            translations = translator.search_window(items, advance)
            output.writelines(map(_line, window, translations))
            output.flush()
    return OK


def _count_lines(name: str) -> int | None:
    """How many lines the input has; None if it can be read only once."""
    if name == STREAM or not Path(name).is_file():
        return None
    return sum(1 for _ in read_lines(Path(name)))


def _records(name: str, form: str, translator: Translator) -> Iterator[Record]:
    """The input, line by line. Errors show when the line is reached."""
    lines = input_lines(name)
    if form == "text":
        for line in lines:
            yield Record(line, translator.options, None)
        return
    for number, line in enumerate(lines, 1):
        try:
            yield parse_record(line, translator.options, translator.check)
        except DragomanError as error:
            place = "standard input" if name == STREAM else name
            raise DataError(f"{place}, line {number}: {error}") from error


def parse_record(
    line: str, defaults: SearchOptions, check: Callable[[SearchOptions], None]
) -> Record:
    """A jsonl line. A blank one is a text like any other.

    Raises:
        DragomanError: it is not JSON, has no text, or its options are wrong or refused by `check`.
    """
    if not line.strip():
        return Record(line, defaults, None)
    fields = _parse_object(line)
    text = fields.get("text")
    if not isinstance(text, str):
        raise DataError('no "text" that is a string. Give an object like {"text": "Hallo"}.')
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError('"text" has half of a surrogate pair. Write both halves, or UTF-8.')
    given = fields.get("options", {})
    if not isinstance(given, dict):
        raise DataError('"options" is not an object. Give one like {"beam_size": 1}.')
    if not given:
        return Record(text, defaults, fields)
    options = from_dict(SearchOptions, to_dict(defaults) | given, "options.")
    check(options)
    return Record(text, options, fields)


def _parse_object(line: str) -> dict[str, object]:
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


def _line(record: Record, translation: Translation) -> bytes:
    """The line of output for a line of input, with its LF."""
    if record.fields is None:
        return (_one_line(translation.text) + "\n").encode()
    first, *others = (hypothesis.to_json() for hypothesis in translation.hypotheses)
    fields = record.fields | first | {"source_pieces": translation.source_pieces}
    if record.options.n_best > 1:
        fields["alternatives"] = others
    # A lone surrogate in a field that passes through is written as the escape that it came as.
    return (json.dumps(fields, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


def _one_line(text: str) -> str:
    """`text` with a space for each line break: the model can spell one out, byte by byte."""
    return re.sub(r"\r*\n", " ", text)


if __name__ == "__main__":
    sys.exit(main())
