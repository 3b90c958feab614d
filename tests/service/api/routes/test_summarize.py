"""POST /v1/summarize: nothing is cut in silence."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from model.checkpoint.checkpoint import load_checkpoint
from service.app import create_app
from service.engine.worker import Worker
from service.registry.model_registry import ModelRegistry
from service.registry.models_file import ModelEntry
from service.settings import Settings

SUMMARIZE = "/v1/summarize"
TOO_LONG = "der Hund läuft auf der Straße. " * 20


@pytest.fixture(scope="module")
def registry(tiny_checkpoint: Path, make_registry: Callable[..., ModelRegistry]) -> ModelRegistry:
    entry = ModelEntry(
        name="short", path=tiny_checkpoint, source="de", target="de", task="summarize"
    )
    return make_registry(load_checkpoint(tiny_checkpoint), entry)


@pytest.fixture(scope="module")
def worker(registry: ModelRegistry) -> Worker:
    return registry.choose("summarize")


@pytest.fixture(scope="module")
def client(registry: ModelRegistry) -> Iterator[TestClient]:
    with TestClient(create_app(registry, Settings())) as client:
        yield client


def test_a_text_is_read_whole(client: TestClient) -> None:
    both = client.post(SUMMARIZE, json={"text": ["der Hund.\ndie Frau.", "der Hund. die Frau."]})
    first, second = both.json()["summaries"]
    assert first.keys() == {"summary", "truncated"}
    assert first == second  # the line break is white space to the model, not an end
    assert (both.json()["model"], client.get("/v1/models").status_code) == ("short", 200)


@pytest.mark.parametrize("more", [{}, {"on_long": "refuse"}])
def test_a_text_longer_than_the_model_reads_is_refused(
    client: TestClient, worker: Worker, more: dict[str, str]
) -> None:
    pieces = len(worker.tokenizer.encode(TOO_LONG.strip()))
    for text, where in ((TOO_LONG, "text"), (["a", TOO_LONG], "text.1")):
        response = client.post(SUMMARIZE, json={"text": text} | more)
        assert response.status_code == 422
        assert response.json()["error"]["type"] == "input_too_long"
        message = response.json()["error"]["message"]
        assert message.startswith(f"{where}: {pieces} pieces, but the model reads {worker.limit}.")
        assert "on_long, or --on-long: windows reads all of it in windows, whole at" in message


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_read_is_said(client: TestClient, worker: Worker, stream: bool) -> None:
    body = {"text": "  " + TOO_LONG, "on_long": "cut", "return": ["tokens"], "stream": stream}
    response = client.post(SUMMARIZE, json=body)
    if stream:
        assert '"truncated_source"' in response.text
        return
    (long,) = response.json()["summaries"]
    assert 0 < long["truncated_source"] <= worker.limit
    assert long["truncated_source"] == len(long["source_pieces"])
    (short,) = client.post(SUMMARIZE, json={"text": "rot", "on_long": "cut"}).json()["summaries"]
    assert "truncated_source" not in short


@pytest.mark.parametrize("options", [{}, {"best_windows": 2}, {"n_best": 2}], ids=str)
@pytest.mark.parametrize("stream", [False, True])
def test_windows_are_told(client: TestClient, options: dict[str, int], stream: bool) -> None:
    text = "\n  Der Hund läuft auf der Straße. 😀 Das Haus ist rot!" * 4
    body = {"text": text, "on_long": "windows", "stream": stream, "options": options}
    response = client.post(SUMMARIZE, json=body | {"return": ["tokens", "alignment", "scores"]})
    assert response.status_code == 200
    data = response.text.split("data: ")[-1] if stream else response.text
    (found,) = json.loads(data)["summaries"]
    read = [text[window["start"] : window["end"]] for window in found["windows"]]
    assert read[0].startswith("Der Hund") and read[-1].endswith("rot!")
    assert "".join(read).count("😀") >= 4
    assert all(window.keys() == {"start", "end", "score", "used"} for window in found["windows"])
    used = [window for window in found["windows"] if window["used"]]
    assert len(used) == 2 if "best_windows" in options else used
    assert len(found["alignment"]) == len(found["pieces"])
    assert all(place < len(found["source_pieces"]) for place in found["alignment"])
    assert len(found.get("alternatives", [1])) == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"options": {"best_windows": 2}}, "best_windows: 2 is for texts read in windows, but"),
        (
            {"on_long": "windows", "options": {"best_windows": 2, "max_words": 5}},
            "best_windows: 2 summaries make the answer, and how they share max_words is not known",
        ),
        ({"on_long": "windows", "options": {"ratio": 0.9}}, "ratio: "),
        ({"on_long": "windows", "options": {"best_windows": -1}}, "options.best_windows: "),
        ({"on_long": "window"}, "on_long: Input should be 'refuse', 'cut', 'windows' or 'whole'"),
    ],
)
def test_windows_that_make_no_sense_are_refused(
    client: TestClient, more: dict[str, object], message: str
) -> None:
    response = client.post(SUMMARIZE, json={"text": TOO_LONG} | more)
    assert response.status_code == 422
    assert response.json()["error"]["message"].startswith(message)
    assert "\n" not in response.json()["error"]["message"]


def test_words_are_limited(client: TestClient) -> None:
    text = "der Hund läuft auf der Straße"
    for options, least, most in (
        ({"max_words": 2}, 0, 2),
        ({"min_words": 5, "max_words": 5}, 5, 5),
        ({"ratio": 0.5}, 2, 3),
    ):
        (ours,) = client.post(SUMMARIZE, json={"text": text, "options": options}).json()[
            "summaries"
        ]
        assert least <= len(ours["summary"].split()) <= most


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 0}, "options.ratio: Input should be greater than 0"),
        ({"ratio": 1.5}, "options.ratio: Input should be less than or equal to 1"),
        ({"min_words": 5, "max_words": 4}, "min_words: 5 is above max_words 4."),
        (
            {"ratio": 0.5, "max_words": 4},
            "ratio: 0.5 sets the most words, and so does max_words 4.",
        ),
        ({"min_words": 90}, "min_words: 90 words are the least, but"),
        ({"max_words": 1, "prefix": "der Hund"}, "max_words: 1 words are the most, but"),
    ],
)
def test_lengths_that_contradict_are_refused(
    client: TestClient, options: dict[str, object], message: str
) -> None:
    response = client.post(SUMMARIZE, json={"text": "der Hund läuft", "options": options})
    assert response.status_code == 422
    assert response.json()["error"]["type"] == "invalid_request"
    assert message in response.json()["error"]["message"]
    assert "\n" not in response.json()["error"]["message"]


def test_a_summary_may_be_taken_from_the_text(client: TestClient) -> None:
    text = "der Hund läuft auf der Straße."
    options = {"extractive": "subsequence", "min_length": 20, "beam_size": 4, "n_best": 3}
    (found,) = client.post(SUMMARIZE, json={"text": text, "options": options}).json()["summaries"]
    assert len({one["summary"] for one in found["alternatives"]}) > 1
    for one in found["alternatives"]:
        remaining = iter(text.rstrip(".").split())  # the full stop may end any of them
        assert all(word in remaining for word in one["summary"].rstrip(".").split())
    body = {"text": text, "options": options | {"prefix": "Straß"}}
    refused = client.post(SUMMARIZE, json=body)
    assert refused.status_code == 422
    assert "cannot begin an output of words of the source" in refused.json()["error"]["message"]


@pytest.mark.parametrize("text", ["", " \n", "\U0001f600" * 200])
def test_texts_without_words_come_back_as_they_are(client: TestClient, text: str) -> None:
    (ours,) = client.post(SUMMARIZE, json={"text": text}).json()["summaries"]
    assert ours == {"summary": text, "truncated": False}


def test_a_model_for_another_task_is_not_taken(client: TestClient) -> None:
    for more in ({}, {"model": "short"}):
        response = client.post("/v1/translate", json={"text": "a"} | more)
        assert response.status_code == 404
        assert response.json()["error"]["type"] == "model_not_found"
