"""dragoman-translate for models from vectors to lines: sequences in, a line out for each."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence

from model.cli.command import (
    OK,
    STREAM,
    is_given,
    load_model,
    open_output,
    refuse_output,
    search_options,
)
from model.cli.searcher import searcher
from model.cli.vector_input import AT_ONCE, input_sequences
from model.errors import ConfigError, DataError, RequestError
from model.io.progress import line_progress
from model.jobs.columns import check_columns, columns_of, parse_columns
from model.jobs.formats import FormatName, fields_of, format_named
from model.jobs.truncation import Truncations
from model.transducer import Transducer
from model.translation.assemble import Translation
from model.translator import windows
from model.vectors.frame_files import Frames

TEXT_FLAGS = ("ensemble", "line_buffered", "mbr", "quarantine", "resume", "shard", "shortlist")


def vectors_to_lines(name: str, arguments: argparse.Namespace, inputs: Sequence[str]) -> int:
    """Read all sequences of `inputs` and write their outputs, in the same order.

    They are written as JSON if --format says so or --output is named like it, else as text.

    Raises:
        ConfigError: a flag is given that only text has, or two that do not go together.
        DataError: a sequence cannot be read, or is none.
        RequestError: the search options do not suit the model.
    """
    for flag in TEXT_FLAGS:
        if is_given(getattr(arguments, flag)):
            raise ConfigError(
                f"--{flag.replace('_', '-')}: it is not for a model that reads vectors. Leave it "
                "out."
            )
    form: FormatName = arguments.format or format_named(None, arguments.output, STREAM)
    if form not in ("text", "jsonl"):
        raise ConfigError(f"--format: {form} is not written for vectors. Use text or jsonl.")
    refuse_output(arguments.output, (".npy", ".npz", ".parquet"), "a file in .txt or .jsonl")
    columns = parse_columns(arguments.print) if arguments.print is not None else ()
    check_columns(columns, form, arguments.n_best)
    model = load_model(name, arguments)
    transducer = searcher(model, search_options(arguments, model.checkpoint.search))
    assert isinstance(transducer, Transducer), "its model reads vectors"
    width = model.network.config.source_width
    given = input_sequences(inputs, arguments.field or "source", width)
    several = transducer.options.n_best > 1

    def written(translation: Translation, number: int) -> str:
        if form == "jsonl":
            return json.dumps(fields_of(translation, several=several), ensure_ascii=False)
        return columns_of(translation, number, columns)

    with (
        open_output(arguments.output) as output,
        line_progress(name, None, to_file=arguments.output != STREAM) as advance,
    ):
        number, truncations = 0, Truncations()
        for window in windows(given, AT_ONCE):
            for translation in _transduced(transducer, window, advance):
                output.write(f"{written(translation, number)}\n".encode())
                number += 1
                truncations.look_at(number, translation)
            output.flush()
    for line in truncations.describe("sequence"):
        print(f"{name}: {line}", file=sys.stderr)
    return OK


def _transduced(
    transducer: Transducer, window: Sequence[tuple[Frames, str]], advance: Callable[[int], None]
) -> Iterator[Translation]:
    """What is found for the sequences of a window, each of which has its place beside it."""
    found = transducer.search_each([(one, transducer.options) for one, _ in window], advance)
    for each, (_, place) in zip(found, window, strict=True):
        if isinstance(each, RequestError):
            raise DataError(f"{place}: {each}") from each
        yield each
