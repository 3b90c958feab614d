"""Logs: one JSON object per line on stderr, or readable lines if stderr is a terminal.

All loggers write through here, including uvicorn's. Secrets are never logged, and texts only if the
operator asks for them. The message of an exception can quote a text, so by default a traceback
includes the message only of exceptions that cannot: those of torch, the operating system and
checkpoints.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from model.errors import CheckpointError, ConfigError, DragomanError
from service.observability.request_record import CURRENT, QUIET, Phase, RequestRecord
from service.observability.stderr_writer import StderrWriter

Form = Literal["auto", "json", "text"]

FIELDS = "fields"
"""The key of `extra` that holds additional fields of a log line."""

WITHOUT_TEXTS = (CheckpointError, ConfigError, MemoryError, OSError, RuntimeError)
"""Exceptions whose messages contain no text of a client, except in what our own errors quote."""

log = logging.getLogger(__name__)


def configure_logging(*, form: Form = "auto", texts: bool = False, level: str = "info") -> None:
    """Make all loggers of the process write to stderr.

    uvicorn must be started with `log_config=None, access_log=False`.

    Args:
        form: auto is text on a terminal, json otherwise.
        texts: whether texts may appear in the log.
        level: level of our own loggers. uvicorn logs at this level too, but never below info, and
            other libraries from warning up.
    """
    handler = handler_for(form, texts, sys.stderr)
    least = logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in ("service", "model", "__main__"):
        logging.getLogger(name).setLevel(least)
    logging.getLogger("uvicorn").setLevel(max(logging.INFO, least))


def handler_for(form: Form, texts: bool, stream: TextIO) -> logging.Handler:
    """Return a handler that writes lines of this form to `stream`."""
    as_text = stream.isatty() if form == "auto" else form == "text"
    handler = _Handler(stream)
    handler.setFormatter(TextFormatter(texts=texts) if as_text else JsonFormatter(texts=texts))
    return handler


class _Handler(logging.StreamHandler[TextIO]):
    """Sees to it that an error is written, for a crash may follow."""

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        if record.levelno >= logging.ERROR and isinstance(self.stream, StderrWriter):
            self.stream.drain_error()


def log_request(record: RequestRecord, *, texts: bool) -> None:
    """Log a finished request."""
    level = logging.DEBUG if record.route in QUIET and record.status < 500 else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, "request", extra={FIELDS: dict(request_fields(record, texts=texts))})


def request_fields(record: RequestRecord, *, texts: bool) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a request's log line, without those that do not apply."""
    yield from [("method", record.method), ("route", record.route), ("status", record.status)]
    yield "seconds", round(record.seconds, 6)
    names = ("reason", "model", "key", "source_pieces", "target_pieces")
    yield from ((name, value) for name in names if (value := getattr(record, name)))
    if record.texts:
        yield "texts", len(record.texts)
    if record.first_partial is not None:
        yield "first_partial_seconds", round(record.first_partial - record.started, 6)
    for name, begin, end in (
        ("queue_seconds", Phase.SUBMITTED, Phase.JOINED),
        ("engine_seconds", Phase.JOINED, Phase.DECODED),
    ):
        if (seconds := record.between(begin, end)) is not None:
            yield name, round(seconds, 6)
    if texts:
        yield from [("source", list(record.texts)), ("answer", list(record.answers))]


class _Formatter(logging.Formatter):
    """Collects the fields of a line, for both forms."""

    def __init__(self, *, texts: bool) -> None:
        super().__init__()
        self._texts = texts

    def fields(self, line: logging.LogRecord) -> dict[str, Any]:
        """Return the id of the current request, the line's additional fields and its exception."""
        fields: dict[str, Any] = {}
        if (request := CURRENT.get()) is not None:
            fields["request"] = request.id
        fields |= getattr(line, FIELDS, {})
        if line.exc_info and line.exc_info[1] is not None:
            fields["exception"] = format_traceback(line.exc_info[1], texts=self._texts)
        return fields


class JsonFormatter(_Formatter):
    """Formats a record as an ASCII JSON object on a single line, whatever the message contains."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        return _ENCODER.encode(line | self.fields(record))


class TextFormatter(_Formatter):
    """Formats a record for people: command, level if above info, message and fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, followed by the traceback if there is one."""
        fields = self.fields(record)
        exception = fields.pop("exception", "")
        level = f"{record.levelname}: " if record.levelno > logging.INFO else ""
        shown = "".join(f" {name}={value}" for name, value in fields.items())
        line = f"dragoman-serve: {level}{record.getMessage()}{shown}"
        return f"{line}\n{exception.rstrip()}" if exception else line


_ENCODER = json.JSONEncoder(default=str)


def format_traceback(error: BaseException, *, texts: bool) -> str:
    """Format the traceback of `error` and its causes, with those messages that may be logged."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = f"{format_traceback(cause, texts=texts)}Then:\n" if cause is not None else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{before}{frames}{type(error).__qualname__}{_message(error, texts=texts)}\n"


def _message(error: BaseException, *, texts: bool) -> str:
    if texts:
        return f": {error}"
    if not isinstance(error, WITHOUT_TEXTS):
        return ""
    return f": {error.unquoted if isinstance(error, DragomanError) else error}"


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
