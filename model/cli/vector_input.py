"""Input of dragoman-translate for models of vectors: sequences or lines of files or a stream."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from model.cli.command import STREAM
from model.io.lines import iter_raw_lines
from model.jobs.line_files import file_lines, json_lines, text_lines
from model.vectors.frame_files import Frames, check_width, line_frames, read_sequences

AT_ONCE = 256
"""Sequences that are read before any of them is transduced."""


def input_sequences(inputs: Sequence[str], field: str, width: int) -> Iterator[tuple[Frames, str]]:
    """The sequences of all inputs, of which - is standard input, with JSON in its lines, and where
    each stands.

    Raises:
        DataError: one cannot be read, or is none, or has vectors of another `width`.
    """
    for name in inputs:
        found = _of_stream(field) if name == STREAM else read_sequences(Path(name), field)
        told = "standard input" if name == STREAM else name
        for number, one in enumerate(found, 1):
            place = f"{told}, sequence {number}"
            check_width(one, width, place, "the width that the model reads")
            yield one, place


def input_lines(inputs: Sequence[str], field: str | None) -> Iterator[tuple[str, str]]:
    """The lines of all inputs, of which - is standard input, and where each stands.

    Args:
        field: of the objects in .jsonl and the columns of .parquet files, by default `source`;
            if it is given, standard input is JSON, too.

    Raises:
        DataError: one cannot be read.
    """
    for name in inputs:
        told = "standard input" if name == STREAM else name
        if name != STREAM:
            found = file_lines(Path(name), field or "source")
        else:
            raws = iter_raw_lines(sys.stdin.buffer, told)
            found = json_lines(raws, field, told) if field else text_lines(raws, told)
        for number, line in enumerate(found, 1):
            yield line, f"{told}, line {number}"


def _of_stream(field: str) -> Iterator[Frames]:
    name = "standard input"
    for number, line in enumerate(iter_raw_lines(sys.stdin.buffer, name), 1):
        where = f"{name}, line {number}"
        yield line_frames(line, field, where)
