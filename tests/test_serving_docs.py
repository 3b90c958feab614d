"""docs/serving.md and docs/api.md: the limits that they state are those of the code."""

import re
from pathlib import Path

import pytest

from service.api import http_protocol, intake, json_values
from service.api.middleware import SANE_ID
from service.api.request_bodies import (
    MAX_BEAM_SIZE,
    MAX_CHARACTERS,
    MAX_TEXTS,
    MAX_VALUES,
    MAX_WORD,
    TransduceRequest,
)
from service.api.routes.texts import MAX_ATTENTION
from service.engine.sequences import MAX_NUMBERS
from service.limits.admission import ANSWER_BYTES_PER_PIECE, SHORT_BYTES
from service.server import LAST_BYTES_S

DOCS = Path(__file__).resolve().parents[1] / "docs"
KIB = 1024
MIB = 1024**2

SERVING = [
    f"{http_protocol.MAX_HEAD_BYTES // KIB} KiB, {http_protocol.MAX_HEADERS} headers | 431",
    f"until they are complete | {http_protocol.HEAD_S:g} s | 408",
    f"{intake.GRACE_S:g} s, and 1 s more for every {intake.MIN_BYTES_PER_S // KIB} KiB | 408",
    f"more than {json_values.SLICE // KIB} KiB | {MAX_VALUES:,} strings",
    f"commas and colons; {TransduceRequest.max_values:,} for `/v1/transduce`",
    f"waiting on a connection | {http_protocol.MAX_PIPELINED} | 429",
    f"KiB for {http_protocol.UNREAD_S:g} s",
    f"{http_protocol.LINGER_S:g} s or {http_protocol.LINGER_BYTES // MIB} MiB",
    f"its answer have at most {SHORT_BYTES:,} bytes",
    f"a source piece for every {ANSWER_BYTES_PER_PIECE} bytes",
    f"plus the {LAST_BYTES_S} seconds that clients may take",
]
API = [
    f"up to {MAX_TEXTS} texts, of up to {MAX_CHARACTERS:,} characters",
    f"words of up to {MAX_WORD:,} characters",
    f"`n_best` up to {MAX_BEAM_SIZE}",
    f"list of up to {MAX_TEXTS} sequences, with at most {MAX_NUMBERS:,} numbers in all",
    f"at most {MAX_ATTENTION} translations",
    f"not complete within {http_protocol.HEAD_S:g} seconds",
    f"less than {intake.MIN_BYTES_PER_S // KIB} KiB a second after {intake.GRACE_S:g} seconds",
    f"more than {http_protocol.MAX_PIPELINED} requests wait",
    f"more than {http_protocol.MAX_HEAD_BYTES // KIB} KiB or {http_protocol.MAX_HEADERS} headers",
    f"for {http_protocol.UNREAD_S:g} seconds",
]


@pytest.mark.parametrize(
    ("page", "stated"),
    [*(("serving.md", one) for one in SERVING), *(("api.md", one) for one in API)],
)
def test_a_limit_is_stated_as_it_is(page: str, stated: str) -> None:
    assert stated in " ".join((DOCS / page).read_text(encoding="utf-8").split())


@pytest.mark.parametrize("page", ["api.md", "monitoring.md"])
def test_request_ids_are_described_alike(page: str) -> None:
    text = " ".join((DOCS / page).read_text(encoding="utf-8").split())
    described = re.search(r"(\d+) (?:to|-) (\d+) (?:characters|letters|of)[^.]*?(`[^`]*`)", text)
    assert described, "X-Request-Id is not described"
    assert SANE_ID.fullmatch("x" * int(described[2])) and not SANE_ID.fullmatch(
        "x" * (int(described[2]) + 1)
    )
