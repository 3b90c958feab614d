"""Line files: the lines of a file, one for each sequence: text, .jsonl or .parquet."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from model.errors import DataError
from model.io.compression import plain_suffix
from model.io.lines import decode_line, read_raw_lines
from model.jobs.parquet import column_values
from model.text.charset import half_character
from model.vectors.frame_files import parsed


def file_lines(path: Path, field: str) -> Iterator[str]:
    """The lines of a file; of .jsonl and .parquet the texts in `field`.

    Raises:
        DataError: the file cannot be read, or a text is none.
    """
    suffix = plain_suffix(path)
    if suffix == ".parquet":
        for number, value in enumerate(column_values(path, field), 1):
            yield _decoded(value or b"", f"{path}, row {number}")
    elif suffix in (".jsonl", ".ndjson"):
        yield from json_lines(read_raw_lines(path), field, str(path))
    else:
        yield from text_lines(read_raw_lines(path), str(path))


def text_lines(raws: Iterable[bytes], name: str) -> Iterator[str]:
    """The lines of what is called `name`.

    Raises:
        DataError: one is not UTF-8.
    """
    for number, raw in enumerate(raws, 1):
        yield _decoded(raw, f"{name}, line {number}")


def json_lines(raws: Iterable[bytes], field: str, name: str) -> Iterator[str]:
    """The texts in `field` of lines of JSON.

    Raises:
        DataError: one is no JSON, or has no such text.
    """
    for number, raw in enumerate(raws, 1):
        where = f"{name}, line {number}"
        text = parsed(raw, field, where, f'Write {{"{field}": "..."}}.')
        if not isinstance(text, str):
            raise DataError(f"{where}: {field!r} holds no text. Name another field or column.")
        if wrong := half_character(text):
            raise DataError(f"{where}: {wrong}")
        yield text


def _decoded(line: bytes, where: str) -> str:
    try:
        return decode_line(line)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
