"""Texts of any length over HTTP, with a real server: short requests go on beside them."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from model.decoding.options import SearchOptions
from model.translator import Translator
from tests.patience import PATIENCE_S

SUMMARIZE = "/v1/summarize"
LONG = "der Hund läuft auf der Straße.\nein Mann sieht die Frau! " * 50
ENDLESS = {"text": LONG, "on_long": "whole", "options": {"min_length": 5000}}
"""Takes thousands of steps."""
SOON = {"max_length_a": 0, "max_length_b": 20}


class Server(Protocol):
    url: str


Serve = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="module")
def summarizer(make_run: Callable[..., Path]) -> Path:
    return make_run("summarizer", task="summarize", source_language="de", target_language="de")


@pytest.fixture(scope="module")
def url(serve: Serve, summarizer: Path) -> Iterator[str]:
    with serve(summarizer) as server:
        yield server.url


def summaries(url: str, **body: Any) -> list[dict[str, Any]]:
    answer = httpx.post(url + SUMMARIZE, json=body, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["summaries"]
    return found


def test_a_long_text_is_answered_as_the_translator_does(url: str, summarizer: Path) -> None:
    translator = Translator.load(summarizer, device="cpu", precision="fp32")
    for more in ({}, {"attention_span": 512}):
        given: dict[str, Any] = SOON | {"beam_size": 2} | more
        options = SearchOptions(on_long="whole", **given)
        expected = translator.search(["rot", LONG], options)
        short, long = summaries(
            url,
            text=["rot", LONG],
            on_long="whole",
            options=given,
            **{"return": ["scores", "tokens", "alignment", "attention"]},
        )
        best = expected[1].hypotheses[0]
        assert long["summary"] == best.translation
        assert long["score"] == pytest.approx(best.score, abs=1e-5)
        assert tuple(long["alignment"]) == best.alignment
        assert tuple(long["word_alignment"]) == best.word_alignment
        assert "attention" not in long
        assert "attention" in short
        whole = expected[1].whole_source
        assert whole is not None
        assert long["whole_source"] == {
            "pieces": len(expected[1].source_pieces),
            "attention_span": more.get("attention_span"),
        }
        assert short["summary"] == expected[0].text
        assert "whole_source" not in short


def test_unless_asked_for_a_long_text_is_refused(url: str) -> None:
    answer = httpx.post(url + SUMMARIZE, json={"text": LONG})
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "input_too_long")
    body = {"text": "rot", "options": {"attention_span": 5}}
    answer = httpx.post(url + SUMMARIZE, json=body)
    assert answer.status_code == 422
    assert "on_long" in answer.json()["error"]["message"]


def in_use(url: str) -> int:
    content = httpx.get(f"{url}/metrics").text
    found = re.search(r"dragoman_slots_in_use\{[^}]*\} (\d+)", content)
    assert found
    return int(found[1])


def test_short_requests_are_answered_meanwhile_and_it_ends_with_its_client(url: str) -> None:
    alone = summaries(url, text="der Hund läuft.")
    host, port = url.removeprefix("http://").split(":")
    body = json.dumps(ENDLESS).encode()
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as client:
        head = f"POST {SUMMARIZE} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        deadline = time.monotonic() + PATIENCE_S
        while not in_use(url):
            assert time.monotonic() < deadline
        assert [summaries(url, text="der Hund läuft.") for _ in range(5)] == [alone] * 5
        assert in_use(url) == 1
        assert httpx.get(f"{url}/readyz").status_code == 200
    while in_use(url):
        assert time.monotonic() < deadline
    assert (
        summaries(url, text=LONG, on_long="whole", options=SOON)[0]["whole_source"]["pieces"] > 24
    )


def test_a_long_text_is_streamed(url: str) -> None:
    body = {"text": LONG, "on_long": "whole", "options": SOON, "stream": True}
    answer = httpx.post(url + SUMMARIZE, json=body, timeout=PATIENCE_S)
    assert answer.text.rstrip().rsplit("event: ", 1)[1].startswith("done")
    assert '"whole_source":{"pieces":' in answer.text


def test_a_deadline_ends_it(url: str) -> None:
    body = ENDLESS | {"deadline_ms": 500}
    answer = httpx.post(url + SUMMARIZE, json=body, timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()["error"]["type"]) == (504, "deadline_passed")
