"""dragoman-translate for models that write vectors: a sequence out for each source."""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from model.cli.command import OK, STREAM, is_given, load_model, open_output, refuse_output
from model.cli.vector_input import AT_ONCE, input_lines, input_sequences
from model.decoding.options import DESCRIPTIONS
from model.errors import ConfigError
from model.io.progress import line_progress
from model.translator import windows
from model.vector_transducer import VectorTransducer

TEXT_FLAGS = (
    "ensemble",
    "format",
    "line_buffered",
    "mbr",
    "print",
    "quarantine",
    "resume",
    "shard",
    "shortlist",
    *DESCRIPTIONS,
)


def translate_vectors(name: str, arguments: argparse.Namespace, inputs: Sequence[str]) -> int:
    """Read all sequences or lines of `inputs` and write their outputs, in the same order.

    They are written as .npz if --output ends in it, else as JSON, a sequence a line.

    Raises:
        ConfigError: a flag is given that only text has.
        DataError: a sequence cannot be read, or is none.
        RequestError: one is too long, or gives an output that is not finite.
    """
    refuse_text_flags(arguments)
    others = (".npy", ".npz.gz", ".npz.zst", ".parquet", ".csv", ".tsv")
    refuse_output(arguments.output, others, "a file in .npz or .jsonl")
    model = load_model(name, arguments)
    checkpoint = model.checkpoint
    reads, width = checkpoint.reads, model.network.config.source_width
    transducer = VectorTransducer(
        model.network, checkpoint.vectors, reads, device=model.device, dtype=model.dtype
    )
    given: Iterator[tuple[object, str]] = (
        input_lines(inputs, arguments.field)
        if reads
        else input_sequences(inputs, arguments.field or "source", width)
    )
    to_file = arguments.output != STREAM
    with (
        open_output(arguments.output) as output,
        line_progress(name, None, to_file=to_file) as advance,
    ):
        outputs = transduced(transducer, given, advance)
        if Path(arguments.output).suffix == ".npz":
            np.savez_compressed(output, *outputs)
        else:
            _write_json(outputs, output)
    return OK


def refuse_text_flags(arguments: argparse.Namespace) -> None:
    """Refuse what only text has.

    Raises:
        ConfigError: such a flag is given.
    """
    for flag in TEXT_FLAGS:
        if is_given(getattr(arguments, flag)):
            raise ConfigError(
                f"--{flag.replace('_', '-')}: it is for text, but this model writes vectors. "
                "Leave it out."
            )


def transduced(
    transducer: VectorTransducer,
    given: Iterator[tuple[object, str]],
    advance: Callable[[int], None],
) -> Iterator[NDArray[np.float64]]:
    """The output for each of the sequences or lines, which have their places beside them.

    Raises:
        RequestError: see `VectorTransducer.transduce`.
    """
    for window in windows(given, AT_ONCE):
        sequences, places = zip(*window, strict=True)
        yield from transducer.transduce(sequences, places)
        advance(len(window))


def nine_digits(number: float) -> float:
    """The number with as many digits as 32 bits have."""
    return float(f"{number:.9g}")


def _write_json(outputs: Iterator[NDArray[np.float64]], output: BinaryIO) -> None:
    for array in outputs:
        values = [list(map(nine_digits, vector)) for vector in array]
        output.write(json.dumps(values).encode() + b"\n")
        output.flush()
