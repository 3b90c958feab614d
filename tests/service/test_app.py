"""The application: what it answers, to good requests and to bad ones."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.config import from_dict, to_dict
from model.decoding.options import SearchOptions
from model.decoding.torch.inference_network import InferenceNetwork
from model.translator import Translator
from service.api.middleware import REQUEST_ID
from service.app import create_app
from service.limits.clients import client_of
from service.registry.model_registry import ModelRegistry
from service.settings import Settings

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
WORK = [TRANSLATE, "/v1/summarize", "/v1/score", "/v1/trace", "/v1/transduce"]
ALL = ["scores", "tokens", "alignment", "attention"]
SETTINGS = Settings(max_body_bytes=100_000)


MakeApp = Callable[..., FastAPI]


@pytest.fixture(scope="module")
def make_app(make_registry: Callable[..., ModelRegistry]) -> MakeApp:
    def make(checkpoint: Checkpoint, settings: Settings = SETTINGS) -> FastAPI:
        return create_app(make_registry(checkpoint), settings)

    return make


@pytest.fixture
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


@pytest.fixture(scope="module")
def translator(tiny_checkpoint: Path) -> Translator:
    return Translator.load(tiny_checkpoint, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def client(tiny_checkpoint: Path, make_app: MakeApp) -> Iterator[TestClient]:
    with TestClient(make_app(load_checkpoint(tiny_checkpoint))) as client:
        yield client


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


def check_error(response: httpx.Response, status: int, type: str) -> str:
    """The message of an answer that must be a refusal in the one shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers[REQUEST_ID]
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"type", "message"}
    assert body["error"]["type"] == type
    message = body["error"]["message"]
    assert isinstance(message, str)
    assert "secret" not in message
    return message


def post(client: TestClient, body: str | bytes, path: str = TRANSLATE) -> httpx.Response:
    response = client.post(path, content=body, headers={"content-type": "application/json"})
    assert isinstance(response, httpx.Response)
    return response


# Good requests


def test_texts_come_back_translated_in_their_order(
    client: TestClient, translator: Translator, checkpoint: Checkpoint
) -> None:
    options = SearchOptions(beam_size=4, n_best=3, alpha=0.5, max_length_a=1.0, max_length_b=3)
    given = {"beam_size": 4, "n_best": 3, "alpha": 0.5}  # the rest is as in the checkpoint
    response = client.post(TRANSLATE, json={"text": TEXTS, "options": given, "return": ALL[:3]})
    assert response.status_code == 200
    body = response.json()
    assert (body["model"], body["digest"]) == ("tiny", checkpoint.digest)
    expected = translator.search(TEXTS, options)
    for ours, theirs in zip(body["translations"], expected, strict=True):
        found = [ours, *ours.pop("alternatives")]
        assert ours.pop("source_pieces") == list(theirs.source_pieces)
        # JSON spells each float so that reading it gives the same bits.
        assert found == json.loads(json.dumps([each.to_json() for each in theirs.hypotheses]))


def test_only_requested_details_are_returned(client: TestClient, translator: Translator) -> None:
    keys = {
        "scores": {"score", "log_prob"},
        "tokens": {"pieces", "source_pieces", "token_log_probs"},
        "alignment": {"alignment", "word_alignment", "word_sources"},
        "attention": {"attention"},
    }
    for wanted, returned in keys.items():
        response = client.post(TRANSLATE, json={"text": TEXTS[0], "return": [wanted]})
        (ours,) = response.json()["translations"]
        assert ours.keys() == {"translation", "truncated"} | returned
    (found,) = translator.search(TEXTS[:1])
    weights = found.hypotheses[0].weights
    assert weights is not None
    assert ours["attention"] == weights[:-1, :-1].tolist()
    (plain,) = client.post(TRANSLATE, json={"text": TEXTS[0]}).json()["translations"]
    assert plain == {"translation": found.text, "truncated": found.hypotheses[0].truncated}


def test_attention_of_very_many_translations_is_refused(client: TestClient) -> None:
    ask = {"return": ["attention"], "options": {"beam_size": 5, "n_best": 5}}
    assert client.post(TRANSLATE, json={"text": TEXTS[:1] * 3, **ask}).status_code == 200
    response = client.post(TRANSLATE, json={"text": TEXTS[:1] * 4, **ask})
    assert response.status_code == 422
    assert "attention of 20 translations" in response.json()["error"]["message"]


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


def test_sixteen_at_once_get_what_each_would_get_alone(
    client: TestClient, checkpoint: Checkpoint, make_app: MakeApp
) -> None:
    bodies: list[dict[str, object]] = [
        {"text": TEXTS[i % 7 :], "options": {"beam_size": 1 + i % 5, "n_best": 1}, "return": ALL}
        for i in range(16)
    ]
    alone = [client.post(TRANSLATE, json=body).json() for body in bodies]
    together = post_all(make_app(checkpoint), bodies)
    assert [response.json() for response in together] == alone


def test_a_request_id_is_echoed_or_made(client: TestClient) -> None:
    for path in (*WORK, "/v1/models", "/nowhere"):
        response = client.post(path, headers={REQUEST_ID: "mine-1"})
        assert response.headers[REQUEST_ID] == "mine-1"
        for bad in ("", "a b", "x" * 101):
            made = client.post(path, headers={REQUEST_ID: bad}).headers[REQUEST_ID]
            assert len(made) == 32


# Requests that are turned away at the door


@pytest.mark.parametrize("path", WORK)
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_type_is_refused(
    client: TestClient, path: str, content_type: str
) -> None:
    response = client.post(path, content='{"text": "a"}', headers={"content-type": content_type})
    assert "application/json" in check_error(response, 415, "wrong_content_type")


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    response = client.post(TRANSLATE, content=b"x", headers=headers)
    assert "compressed" in check_error(response, 415, "wrong_content_type")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_refused(client: TestClient, method: str) -> None:
    response = client.request(method, TRANSLATE)
    check_error(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/v1", "/v1/translate/", "/docs", "/secret", "/livez/"])
def test_an_unknown_path_is_refused(client: TestClient, path: str) -> None:
    check_error(client.post(path, json={"text": "a"}), 404, "not_found")


def test_keys_and_rates_come_before_everything_else(
    checkpoint: Checkpoint, make_app: MakeApp
) -> None:
    keys = SecretStr("someone: good")
    app = make_app(checkpoint, Settings(api_keys=keys, rate_per_s=0.15, rate_burst=1))
    good = {"authorization": "Bearer good"}
    with TestClient(app) as client:
        for path in WORK:
            for headers in ({}, {"authorization": "Bearer bad"}):
                response = client.post(path, content=b"secret", headers=headers)
                check_error(response, 401, "unauthenticated")
                assert response.headers["www-authenticate"] == "Bearer"
        check_error(client.get("/v1/models"), 401, "unauthenticated")
        assert client.post(TRANSLATE, json={"text": "a"}, headers=good).status_code == 200
        response = client.post(TRANSLATE, content=b"secret", headers=good)
        check_error(response, 429, "rate_limited")
        assert response.headers["retry-after"] == "7"
        schema = client.get("/openapi.json").json()
        assert schema["paths"][TRANSLATE]["post"]["security"] == [{"key": []}]


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


def test_a_full_server_refuses_and_says_when_to_come_back(
    checkpoint: Checkpoint, make_app: MakeApp
) -> None:
    body: dict[str, object] = {"text": ["der Hund"] * 5, "options": LONG}
    responses = post_all(make_app(checkpoint, Settings(max_requests=6)), [body] * 5)
    assert sorted(response.status_code for response in responses) == [200, 200, 200, 429, 429]
    for response in responses:
        if response.status_code == 429:
            check_error(response, 429, "overloaded")
            assert int(response.headers["retry-after"]) >= 1


def test_a_full_server_does_not_read_the_body(checkpoint: Checkpoint, make_app: MakeApp) -> None:
    app = make_app(checkpoint, Settings(max_requests=1))
    admission = app.state.admission
    with TestClient(app) as client:
        with admission.reservation(client_of("a", "")) as reservation:
            reservation.accept(1)
            check_error(post(client, "not JSON"), 429, "overloaded")
            response = client.post(
                TRANSLATE, content=chunks(b"no"), headers={"content-type": "application/json"}
            )
            check_error(response, 429, "overloaded")
        check_error(post(client, "not JSON"), 400, "unreadable_body")
        assert post(client, '{"text": "a"}').status_code == 200
    assert (admission.requests, admission.pieces) == (0, 0)


def test_pages_of_others_may_not_call_unless_they_are_named(
    checkpoint: Checkpoint, make_app: MakeApp
) -> None:
    asks = {"origin": "https://a.example", "access-control-request-method": "POST"}
    for origins, allowed in (((), None), (("https://a.example",), "https://a.example")):
        app = make_app(checkpoint, Settings(cors_origins=origins))
        with TestClient(app) as client:
            response = client.options(TRANSLATE, headers=asks)
            assert response.headers.get("access-control-allow-origin") == allowed
            response = client.get("/v1/models", headers={"origin": "https://b.example"})
            assert "access-control-allow-origin" not in response.headers


# Failures of ours


def test_a_failure_of_ours_tells_nothing_of_the_request(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, make_app: MakeApp
) -> None:
    def fail(self: InferenceNetwork, *arguments: object) -> None:
        raise RuntimeError("secret")

    with TestClient(make_app(checkpoint)) as client:
        monkeypatch.setattr(InferenceNetwork, "encode", fail)
        check_error(client.post(TRANSLATE, json={"text": "a"}), 500, "internal")
        assert client.get("/livez").status_code == 200


def test_a_failure_that_nobody_expected_has_the_one_shape(
    checkpoint: Checkpoint, make_app: MakeApp
) -> None:
    app = make_app(checkpoint)

    @app.get("/broken")
    async def broken() -> None:
        raise KeyError("secret")

    with TestClient(app, raise_server_exceptions=False) as client:
        response = client.get("/broken", headers={REQUEST_ID: "mine"})
        check_error(response, 500, "internal")
        assert response.headers[REQUEST_ID] == "mine"
