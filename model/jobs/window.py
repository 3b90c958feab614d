"""Window: records that are parsed, translated and written together.

A record that cannot be translated may be set aside (quarantined). An empty one takes its place, so
that output and input have equally many records.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from model.decoding.options import SearchOptions
from model.errors import DataError, DragomanError, RequestError
from model.io.lines import decode_line
from model.jobs.formats import CorpusRecord, RecordFormat
from model.jobs.truncation import Truncations
from model.translation.assemble import Translation

Search = Callable[
    [Sequence[tuple[str, SearchOptions]], Callable[[int], None]], list[Translation | RequestError]
]
"""Translates the texts of a window, each with its options: `Translator.search_each`."""

LONGEST_WORD = 10_000
"""Most characters of a word if there is a quarantine; else longer ones are cut and translated."""
_WORD_BREAK = re.compile(r"[\s\u3002\uff01\uff1f\uff61]")  # as in cutting long lines
_SHOWN = 200  # characters of a record in the quarantine


class Written(NamedTuple):
    """The results of a window."""

    lines: bytes
    """One line for each record of the window."""
    quarantine: bytes
    """A line of JSON for each quarantined record: its number, the reason, its beginning."""
    truncations: Truncations
    """The truncated outputs and sources."""


class RecordRefused(DataError):
    """A record cannot be translated; the message says where it is.

    `index` is its place in the window, from 0.
    """

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


def translate_window(
    search: Search,
    form: RecordFormat,
    raws: Sequence[bytes | None],
    *,
    first: int,
    name: str,
    quarantine: bool,
    advance: Callable[[int], None],
    before: int = 0,
) -> Written:
    """Translate the records `raws`, which are searched together, longest first.

    Args:
        raws: lines without their endings, or values; None, a missing value, stays None.
        first: number of the first record, from 1.
        name: name of the input, for messages.
        quarantine: whether to set aside what cannot be translated, rather than fail.
        advance: called with the number of records just finished.
        before: number of records in earlier inputs. The quarantine counts them, as the records of
            the output are counted; a message counts those of the input that it names.

    Raises:
        RecordRefused: a record cannot be translated, and there is no quarantine.
    """
    aside: dict[int, bytes] = {}

    def refuse(i: int, error: DragomanError) -> None:
        number = first + i
        if not quarantine:
            message = f"{name}, {form.unit} {number - before}: {error}"
            raise RecordRefused(message, i) from error
        aside[i] = _reason(form, number, raws[i] or b"", error)

    records: dict[int, CorpusRecord] = {}
    for i, raw in enumerate(raws):
        try:
            if raw is not None:
                records[i] = _parse(form, first + i, raw, quarantine)
        except DragomanError as error:
            refuse(i, error)
    advance(len(raws) - len(records))
    items = [(record.text, record.options) for record in records.values()]
    lines = [form.blank] * len(raws)
    truncations = Truncations()
    for (i, record), found in zip(records.items(), search(items, advance), strict=True):
        if isinstance(found, RequestError):
            refuse(i, found)
        else:
            truncations.look_at(first + i, found)
            # A lone surrogate in a field that is passed through is written as an escape again.
            lines[i] = (record.line(found) + "\n").encode(errors="backslashreplace")
    set_aside = b"".join(aside[i] for i in sorted(aside))
    return Written(b"".join(lines), set_aside, truncations)


def _parse(form: RecordFormat, number: int, raw: bytes, quarantine: bool) -> CorpusRecord:
    record = form.parse(number, decode_line(raw))
    if quarantine:
        refuse_long_words(record.text)
    return record


def refuse_long_words(text: str) -> None:
    """Check a text that can be set aside.

    Raises:
        DataError: it has a word of more than `LONGEST_WORD` characters.
    """
    if max(map(len, _WORD_BREAK.split(text))) > LONGEST_WORD:
        raise DataError(f"a word of more than {LONGEST_WORD:,} characters. Part it with spaces.")


def _reason(form: RecordFormat, number: int, raw: bytes, error: DragomanError) -> bytes:
    shown = raw[: 4 * _SHOWN].decode(errors="backslashreplace")[:_SHOWN]
    fields = {form.unit: number, "reason": str(error), "beginning": shown}
    return (json.dumps(fields, ensure_ascii=False) + "\n").encode(errors="backslashreplace")
