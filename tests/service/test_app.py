"""The application: what it answers, to good requests and to bad ones."""

import asyncio
import json
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from fastapi import FastAPI
from starlette.testclient import TestClient

from model.checkpoint import Checkpoint, load_checkpoint
from model.config import from_dict, to_dict
from model.decoding.options import SearchOptions
from model.decoding.packed import PackedNetwork
from model.translator import Translator
from service.app import create_app
from service.catalogue import Catalogue
from service.models_file import ModelEntry
from service.settings import Settings
from service.worker import Worker

TEXTS = [
    "der Hund läuft.",
    "",
    "  ein Mann sieht die Frau auf der Straße!",
    "10",
    "das Haus ist rot. der Hund schläft unter der Straße und läuft. eine Frau sieht 3 Hunde.",
    " \u3000",
    "日本語 \U0001f600",
]
LONG = {"beam_size": 2, "min_length": 50, "max_length_a": 0, "max_length_b": 50}
TRANSLATE = "/v1/translate"
SETTINGS = Settings(max_body_bytes=100_000)


def make_app(checkpoint: Checkpoint, settings: Settings = SETTINGS) -> FastAPI:
    worker = Worker("tiny", checkpoint, device=torch.device("cpu"), dtype=torch.float32)
    entry = ModelEntry(name="tiny", path=checkpoint.path)
    return create_app(Catalogue(lambda: [entry], lambda entry: worker, 1), settings)


@pytest.fixture
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


@pytest.fixture(scope="module")
def translator(tiny_checkpoint: Path) -> Translator:
    return Translator.load(tiny_checkpoint, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def client(tiny_checkpoint: Path) -> Iterator[TestClient]:
    with TestClient(make_app(load_checkpoint(tiny_checkpoint))) as client:
        yield client


@pytest.fixture(scope="module")
def openapi(client: TestClient) -> dict[str, Any]:
    schema: dict[str, Any] = client.get("/openapi.json").json()
    return schema


def post_all(app: FastAPI, bodies: list[dict[str, object]]) -> list[httpx.Response]:
    """Send all requests at once."""

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            return await asyncio.gather(*(client.post(TRANSLATE, json=body) for body in bodies))

    return asyncio.run(send())


# Good requests


def test_it_says_that_it_lives(client: TestClient) -> None:
    response = client.get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_texts_come_back_translated_in_their_order(
    client: TestClient, translator: Translator, checkpoint: Checkpoint
) -> None:
    options = SearchOptions(beam_size=4, n_best=3, alpha=0.5, max_length_a=1.0, max_length_b=3)
    given = {"beam_size": 4, "n_best": 3, "alpha": 0.5}  # the rest is as in the checkpoint
    response = client.post(TRANSLATE, json={"text": TEXTS, "options": given})
    assert response.status_code == 200
    body = response.json()
    assert body.keys() == {"translations", "model"}
    assert body["model"] == checkpoint.digest
    expected = translator.search(TEXTS, options)
    for ours, theirs in zip(body["translations"], expected, strict=True):
        found = [ours, *ours.pop("alternatives")]
        assert ours.pop("source_pieces") == list(theirs.source_pieces)
        # JSON spells each float so that reading it gives the same bits.
        assert found == json.loads(json.dumps([each.to_json() for each in theirs.hypotheses]))


@pytest.mark.parametrize(
    "given",
    [
        {"constraints": ["Hund"], "avoid": ["rot"], "max_length_b": 12},
        {"prefix": "Die ", "no_repeat_ngram": 2, "coverage_beta": 0.2, "word_reward": 0.1},
        {"temperature": 0.8, "top_k": 20, "top_p": 0.9, "seed": 5, "n_best": 2},
        {"beam_size": 4, "diverse_groups": 2, "diverse_strength": 1, "n_best": 4},
    ],
)
def test_every_search_option_reaches_the_search(
    client: TestClient, translator: Translator, given: dict[str, Any]
) -> None:
    response = client.post(TRANSLATE, json={"text": TEXTS[:3], "options": given})
    options = from_dict(SearchOptions, to_dict(translator.options) | given)
    expected = [found.text for found in translator.search(TEXTS[:3], options)]
    assert [found["translation"] for found in response.json()["translations"]] == expected
    assert expected != translator.translate(TEXTS[:3])


def test_a_demand_that_a_text_cannot_have_is_the_mistake_of_the_client(
    client: TestClient, translator: Translator
) -> None:
    options = {"constraints": ["Hund Hund Hund"], "max_length_b": 0}
    response = client.post(TRANSLATE, json={"text": "10", "options": options})
    assert 400 <= response.status_code < 500
    assert "constraints" in response.json()["error"]["message"]
    (ours,) = client.post(TRANSLATE, json={"text": "10"}).json()["translations"]
    assert ours["translation"] == translator.translate(["10"])[0]


def test_one_text_gives_a_list_of_one(client: TestClient, translator: Translator) -> None:
    (ours,) = client.post(TRANSLATE, json={"text": TEXTS[0]}).json()["translations"]
    assert ours["translation"] == translator.translate(TEXTS[:1])[0]
    assert ours["alternatives"] == []


@pytest.mark.parametrize("text", ["", " ", "\n\t \u3000", "\u2028"])
def test_blank_texts_come_back_as_they_are(client: TestClient, text: str) -> None:
    (ours,) = client.post(TRANSLATE, json={"text": text}).json()["translations"]
    assert (ours["translation"], ours["pieces"]) == (text, [])


def test_no_texts_give_no_translations(client: TestClient) -> None:
    assert client.post(TRANSLATE, json={"text": []}).json()["translations"] == []


def test_sixteen_at_once_get_what_each_would_get_alone(
    client: TestClient, checkpoint: Checkpoint
) -> None:
    bodies: list[dict[str, object]] = [
        {"text": TEXTS[i % 7 :], "options": {"beam_size": 1 + i % 5, "n_best": 1}}
        for i in range(16)
    ]
    alone = [client.post(TRANSLATE, json=body).json() for body in bodies]
    together = post_all(make_app(checkpoint), bodies)
    assert [response.json() for response in together] == alone


# Bad requests

BAD_BODIES: list[tuple[str, str]] = [
    ("", "body: not a JSON object"),
    ("null", "body: not a JSON object"),
    ('"text"', "body: not a JSON object"),
    ("[]", "body: not a JSON object"),
    ('{"text": "a"', "body: not JSON (Expecting ',' delimiter at character 12)"),
    ("{}", "text: Field required."),
    ('{"text": null}', "text: Input should be a valid string."),
    ('{"text": 5}', "text: Input should be a valid string."),
    ('{"text": ["a", 5]}', "text.1: Input should be a valid string."),
    ('{"text": [["a"]]}', "text.0: Input should be a valid string."),
    ('{"text": "\\ud83d"}', "text: Input should be a valid string, unable to parse"),
    ('{"text": ["a", "\\ude00"]}', "text.1: Input should be a valid string, unable to parse"),
    ('{"text": "a", "\\ud800": 1}', "body: "),
    ('{"text": "a", "secret": 1}', "body: an unknown key."),
    ('{"text": "a", "options": []}', "options: Input should be"),
    ('{"text": "a", "options": null}', "options: Input should be"),
    ('{"text": "a", "options": {"secret": 1}}', "options: an unknown key."),
    ('{"text": "a", "options": {"beam_size": 0}}', "options.beam_size: Input should be greater"),
    ('{"text": "a", "options": {"beam_size": 65}}', "options.beam_size: Input should be less"),
    ('{"text": "a", "options": {"beam_size": "5"}}', "options.beam_size: Input should be a valid"),
    ('{"text": "a", "options": {"beam_size": 1, "n_best": 2}}', "n_best: 2 is not in 1 to"),
    ('{"text": "a", "options": {"alpha": NaN}}', "options.alpha: Input should be a finite"),
    ('{"text": "a", "options": {"alpha": 1e999}}', "options.alpha: Input should be a finite"),
    ('{"text": "a", "options": {"max_length_a": 1e308}}', "options.max_length_a: Input should be"),
    (
        '{"text": "a", "options": {"max_length_a": 99}}',
        "max_length_a, max_length_b: they allow",
    ),
    ('{"text": "a", "options": {"length_penalty": "secret"}}', "options.length_penalty: Input"),
    (json.dumps({"text": ["a"] * 257}), "text: List should have at most 256 items"),
]


def check_error(response: httpx.Response, status: int, type: str) -> str:
    """The message of an answer that must be a refusal in the one shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"type", "message"}
    assert body["error"]["type"] == type
    message = body["error"]["message"]
    assert isinstance(message, str)
    assert "secret" not in message
    return message


def post(client: TestClient, body: str | bytes) -> httpx.Response:
    response = client.post(TRANSLATE, content=body, headers={"content-type": "application/json"})
    assert isinstance(response, httpx.Response)
    return response


@pytest.mark.parametrize(("body", "message"), BAD_BODIES)
def test_a_wrong_body_is_refused(client: TestClient, body: str, message: str) -> None:
    assert check_error(post(client, body), 422, "invalid_request").startswith(message)


def test_a_text_of_too_many_characters_is_refused(checkpoint: Checkpoint) -> None:
    with TestClient(make_app(checkpoint, Settings())) as client:
        response = post(client, json.dumps({"text": "a" * 800_001}))
    assert "at most 800000 characters" in check_error(response, 422, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": "\xff"}',
        b'{"text": "a", "x": ' + b"[" * 40_000 + b"]" * 40_000 + b"}",
        b'{"text": "a", "options": {"n_best": ' + b"1" * 5000 + b"}}",
    ],
)
def test_a_body_that_cannot_be_read_is_refused(client: TestClient, body: bytes) -> None:
    check_error(post(client, body), 400, "unreadable_body")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_type_is_refused(client: TestClient, content_type: str) -> None:
    headers = {"content-type": content_type}
    response = client.post(TRANSLATE, content='{"text": "a"}', headers=headers)
    assert "application/json" in check_error(response, 422, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_refused(client: TestClient, method: str) -> None:
    response = client.request(method, TRANSLATE)
    check_error(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/translate/", "/docs", "/secret", "/livez/.."])
def test_an_unknown_path_is_refused(client: TestClient, path: str) -> None:
    check_error(client.post(path, json={"text": "a"}), 404, "not_found")


def chunks(body: bytes) -> Iterator[bytes]:
    """A body whose length is not announced."""
    for start in range(0, len(body), 10_000):
        yield body[start : start + 10_000]


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_limit_is_refused(client: TestClient, announced: bool) -> None:
    limit = SETTINGS.max_body_bytes
    body = json.dumps({"text": ""}).encode()
    for size, fits in ((limit, True), (limit + 1, False)):
        padded = body + b" " * (size - len(body))
        response = client.post(
            TRANSLATE,
            content=padded if announced else chunks(padded),
            headers={"content-type": "application/json"},
        )
        assert ("content-length" in response.request.headers) == announced
        if fits:
            assert response.status_code == 200
        else:
            assert f"more than {limit} bytes" in check_error(response, 413, "body_too_large")


def test_a_full_server_refuses_and_says_when_to_come_back(checkpoint: Checkpoint) -> None:
    body: dict[str, object] = {"text": ["der Hund"] * 5, "options": LONG}
    responses = post_all(make_app(checkpoint, Settings(max_requests=3)), [body] * 5)
    assert [response.status_code for response in responses] == [200, 200, 200, 429, 429]
    check_error(responses[4], 429, "overloaded")
    assert int(responses[4].headers["retry-after"]) >= 1


def test_a_failure_of_ours_tells_nothing_of_the_request(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: PackedNetwork, *arguments: object) -> None:
        raise RuntimeError("secret")

    app = make_app(checkpoint)
    with TestClient(app) as client:
        monkeypatch.setattr(PackedNetwork, "encode", fail)
        check_error(client.post(TRANSLATE, json={"text": "a"}), 500, "internal")
        assert client.get("/livez").status_code == 200
    assert "a step of the engine failed" in caplog.text


# What programs read


def test_the_schema_names_every_status(openapi: dict[str, Any]) -> None:
    assert set(openapi["paths"]) == {"/livez", TRANSLATE}
    responses = openapi["paths"][TRANSLATE]["post"]["responses"]
    assert set(responses) == {"200", "400", "413", "422", "429", "500", "503"}
    for status, response in responses.items():
        schema = response["content"]["application/json"]["schema"]["$ref"]
        assert schema.endswith("/TranslateResponse" if status == "200" else "/ErrorBody")
    assert all("Retry-After" in responses[status]["headers"] for status in ("429", "503"))
    assert str(SETTINGS.max_body_bytes) in responses["413"]["description"]


def test_the_schema_describes_all_that_it_names(openapi: dict[str, Any]) -> None:
    names = {"Alive", "ErrorBody", "ErrorDetail", "HypothesisResult", "Options"}
    names |= {"TranslateRequest", "TranslateResponse", "TranslationResult"}
    assert set(openapi["components"]["schemas"]) == names


# A client that leaves


def test_a_client_that_leaves_stops_the_work(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    honest = PackedNetwork.step

    def counted(self: PackedNetwork, *arguments: Any) -> Any:
        steps.append(1)
        return honest(self, *arguments)

    monkeypatch.setattr(PackedNetwork, "step", counted)
    app = make_app(checkpoint)
    scope = {
        "type": "http",
        "method": "POST",
        "path": TRANSLATE,
        "headers": [(b"content-type", b"application/json")],
        "query_string": b"",
    }
    sent: list[MutableMapping[str, Any]] = []

    async def test() -> None:
        begun = len(steps)

        async def leave_when_work_has_begun() -> MutableMapping[str, Any]:
            while len(steps) == begun:
                await asyncio.sleep(0.001)
            return {"type": "http.disconnect"}

        body = json.dumps({"text": ["der Hund"] * 3, "options": LONG}).encode()
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> MutableMapping[str, Any]:
            return next(messages, None) or await leave_when_work_has_begun()

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await app(scope, receive, send)
        made = len(steps)
        await asyncio.sleep(0.1)
        assert len(steps) - made <= 2
        assert len(steps) - begun < 50

    async def serve() -> None:
        async with app.router.lifespan_context(app):
            steps.clear()
            await test()

    asyncio.run(serve())
    assert sent[0]["status"] == 499  # for the log; nobody reads it
