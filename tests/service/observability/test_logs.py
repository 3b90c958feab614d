"""Logs: JSON lines and lines for people, from our loggers and from uvicorn's, without texts."""

import io
import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model.errors import CheckpointError, ConfigError
from service.observability.logs import (
    JsonFormatter,
    TextFormatter,
    format_traceback,
    handler_for,
    request_fields,
)
from service.observability.request_record import CURRENT, Phase, RequestRecord
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[3]
TEXT = "Blaubeerpfannkuchen"


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        if cause is not None:
            try:
                raise cause
            except Exception as inner:
                raise error from inner
        raise error
    except Exception as caught:
        return caught


def line_of(message: str, error: Exception | None = None, **fields: object) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    line = logging.LogRecord("service.x", logging.ERROR, __file__, 1, message, (), info)
    line.fields = fields
    return line


def parsed(line: logging.LogRecord, texts: bool = False) -> dict[str, Any]:
    text = JsonFormatter(texts=texts).format(line)
    assert "\n" not in text
    assert text.isascii()
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_a_line_is_json_whatever_the_message_holds() -> None:
    message = 'a\nb "c" \x1b[31m \u2028 \ud800 \U0001f600'
    found = parsed(line_of(message, n=1, path=Path("/x")))
    assert (found["message"], found["n"], found["path"]) == (message, 1, "/x")
    assert (found["level"], found["logger"]) == ("error", "service.x")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", found["time"])


def test_a_line_has_the_id_of_the_request_that_it_belongs_to() -> None:
    assert "request" not in parsed(line_of("x"))
    token = CURRENT.set(RequestRecord(id="abc", method="GET"))
    try:
        assert parsed(line_of("x"))["request"] == "abc"
    finally:
        CURRENT.reset(token)


def test_a_traceback_says_where_and_not_with_which_text() -> None:
    error = raised(KeyError(TEXT), cause=ValueError(f"{TEXT}!"))
    shown = parsed(line_of("failed", error))["exception"]
    assert TEXT not in shown
    assert [line for line in shown.splitlines() if not line.startswith(" ")] == [
        "ValueError",
        "Then:",
        "KeyError",
    ]
    assert "in raised" in shown
    assert TEXT in parsed(line_of("failed", error), texts=True)["exception"]


@pytest.mark.parametrize(
    "error",
    [RuntimeError("CUDA error: out of memory"), OSError("no space"), CheckpointError("damaged")],
)
def test_messages_of_errors_below_the_texts_are_logged(error: Exception) -> None:
    assert format_traceback(raised(error), texts=False).endswith(
        f"{type(error).__name__}: {error}\n"
    )


def test_what_our_own_errors_quote_is_not_logged() -> None:
    error = raised(ConfigError("{} is given twice.", field="avoid", quoted=(TEXT,)))
    assert format_traceback(error, texts=False).endswith(
        "ConfigError: avoid: one is given twice.\n"
    )
    assert TEXT in format_traceback(error, texts=True)


def test_lines_for_people() -> None:
    formatter = TextFormatter(texts=False)
    assert formatter.format(line_of("it broke", n=1)) == "dragoman-serve: ERROR: it broke n=1"
    with_error = formatter.format(line_of("it broke", raised(ValueError(TEXT))))
    assert with_error.splitlines()[0] == "dragoman-serve: ERROR: it broke"
    assert with_error.splitlines()[-1] == "ValueError"


def test_the_page_documents_every_field() -> None:
    record = RequestRecord(
        id="1", method="POST", started=0, ended=1, first_partial=0.5, texts=["a"]
    )
    record.status, record.reason, record.model, record.key = 429, "overloaded", "m", "k"
    record.source_pieces = record.target_pieces = 1
    for phase in Phase:
        record.reached(phase)
    fields = {name for name, _ in request_fields(record, texts=True)}
    fields |= {"time", "level", "logger", "message", "request", "exception"}
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    table = page[page.index("## Logs") : page.index("## Traces")]
    documented = re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)
    assert sorted(documented) == sorted(fields)


SCRIPT = """
import logging, sys
import uvicorn
from service.observability.logs import configure_logging
configure_logging(form=sys.argv[1], level="debug")

async def app(scope, receive, send):
    raise ValueError("Blaubeerpfannkuchen")

config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", port=0)
server = uvicorn.Server(config)

async def main():
    import asyncio
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.001)
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "GET /Blaubeerpfannkuchen HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n"
    writer.write(head.encode())
    await reader.read()
    server.should_exit = True
    await serving

import asyncio
asyncio.run(main())
logging.getLogger("service.x").debug("ours")
logging.getLogger("somebody").info("theirs")
"""


@pytest.mark.parametrize("form", ["auto", "json", "text"])
def test_the_lines_of_uvicorn_look_like_ours(form: str) -> None:
    """In a process of its own, for the loggers of this one are pytest's."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, form],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert TEXT not in done.stderr
    lines = done.stderr.splitlines()
    if form == "text":
        assert lines[0].startswith("dragoman-serve: Started server process")
        assert lines[-1] == "dragoman-serve: ours"
        return
    found = [json.loads(line) for line in lines]
    assert {line["logger"] for line in found} == {"uvicorn.error", "service.x"}
    (failure,) = [line for line in found if line["level"] == "error"]
    assert failure["exception"].endswith("\nValueError\n")
    assert found[-1]["message"] == "ours"


def test_other_handlers_are_replaced() -> None:
    """Nothing is written twice, and nothing past the form."""
    script = (
        "import logging\nfrom service.observability.logs import configure_logging\n"
        "logging.basicConfig()\nconfigure_logging(form='text')\n"
        "logging.getLogger('service.x').warning('once')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S
    )
    assert done.stderr == "dragoman-serve: WARNING: once\n"


def test_a_terminal_gets_lines_for_people() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert isinstance(handler_for("auto", False, Terminal()).formatter, TextFormatter)
    assert isinstance(handler_for("auto", False, io.StringIO()).formatter, JsonFormatter)
