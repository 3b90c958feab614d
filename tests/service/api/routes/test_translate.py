"""POST /v1/translate: raw bodies, long texts, streams, and clients that leave."""

import asyncio
import json
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.torch.inference_network import InferenceNetwork
from model.translator import Translator
from service.app import create_app
from service.registry.model_registry import ModelRegistry
from service.settings import Settings

TRANSLATE = "/v1/translate"
LONG = {"beam_size": 2, "min_length": 50, "max_length_a": 0, "max_length_b": 50}
DOCUMENT = (
    "  Der Hund läuft. Die Frau sieht das Haus, z. B. rot!\n\n\tDer Mann schläft?\r\n\n"
    + "Das Kind sieht 3 Hunde auf der Straße. " * 9
    + "\u00a0\n \U0001f600\n\nEnde  "
)


@pytest.fixture(scope="module")
def make_app(make_registry: Callable[..., ModelRegistry]) -> Callable[[Path], FastAPI]:
    return lambda run: create_app(make_registry(load_checkpoint(run)), Settings())


@pytest.fixture(scope="module")
def client(tiny_checkpoint: Path, make_app: Callable[[Path], FastAPI]) -> Iterator[TestClient]:
    with TestClient(make_app(tiny_checkpoint)) as client:
        yield client


@pytest.fixture(scope="module")
def translator(tiny_checkpoint: Path) -> Translator:
    return Translator.load(tiny_checkpoint, device="cpu", precision="fp32")


def post(client: TestClient, body: str | bytes) -> httpx.Response:
    response = client.post(TRANSLATE, content=body, headers={"content-type": "application/json"})
    assert isinstance(response, httpx.Response)
    return response


def refusal(response: httpx.Response, status: int, type: str) -> str:
    assert response.status_code == status, response.text[:500]
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"type", "message"}
    assert body["error"]["type"] == type
    message = body["error"]["message"]
    assert isinstance(message, str)
    assert "secret" not in message
    return message


WRONG: list[tuple[str, str]] = [
    ("null", "body: not a JSON object"),
    ('"text"', "body: not a JSON object"),
    ("[]", "body: not a JSON object"),
    ("{}", "text: Field required."),
    ('{"text": null}', "text: Input should be a valid string."),
    ('{"text": 5}', "text: Input should be a valid string."),
    ('{"text": ["a", 5]}', "text.1: Input should be a valid string."),
    ('{"text": [["a"]]}', "text.0: Input should be a valid string."),
    ('{"txet": "secret"}', "txet: unknown key. Did you mean 'text'?"),  # also missing
    ('{"text": 5, "txet": "secret"}', "txet: unknown key. Did you mean 'text'?"),
    ('{"text": "a", "txet": "secret"}', "txet: unknown key. Did you mean 'text'?"),
    (
        '{"text": "a", "zz": "secret"}',
        "zz: unknown key. Known keys: model, deadline_ms, priority, ",
    ),
    ('{"text": "a", "retrun": ["secret"]}', "retrun: unknown key. Did you mean 'return'?"),
    ('{"text": "a", "one": 1}', "one: unknown key. "),
    ('{"text": "a", "b\\n\\u001b": 1}', r"b\n\x1b: unknown key. "),
    (json.dumps({"text": "a", "z" * 9999: 1}), f"{'z' * 40}...: unknown key. Known keys: model"),
    ('{"text": "a", "options": []}', "options: Input should be"),
    ('{"text": "a", "options": null}', "options: Input should be"),
    (
        '{"text": "a", "options": {"beam": "secret"}}',
        "options.beam: unknown key. Did you mean 'beam_size'?",
    ),
    ('{"text": "a", "options": {"beam_size": 0}}', "options.beam_size: Input should be greater"),
    ('{"text": "a", "options": {"beam_size": 17}}', "options.beam_size: Input should be less than"),
    ('{"text": "a", "options": {"n_best": 17}}', "options.n_best: Input should be less than or"),
    ('{"text": "a", "options": {"beam_size": "5"}}', "options.beam_size: Input should be a valid"),
    ('{"text": "a", "options": {"beam_size": 1, "n_best": 2}}', "n_best: 2 is not in 1 to"),
    ('{"text": "a", "options": {"alpha": NaN}}', "options.alpha: Input should be a finite"),
    ('{"text": "a", "options": {"alpha": 1e999}}', "options.alpha: Input should be a finite"),
    ('{"text": "a", "options": {"max_length_a": 99}}', "max_length_a, max_length_b: they allow"),
    ('{"text": "a", "options": {"length_penalty": "secret"}}', "options.length_penalty: Input"),
    (
        '{"text": "a", "options": {"constraints": ["secret", "secret"]}}',
        "constraints: one is given twice",
    ),
    (
        '{"text": "a", "options": {"prefix": "my secret", "avoid": ["secret"]}}',
        "avoid: one is part of one, which is demanded.",
    ),
    ('{"text": "a", "options": {"avoid": ["secret \u2603"]}}', "avoid: one has one, for which"),
    ('{"text": "a", "return": ["secret"]}', "return.0: Input should be 'scores', 'tokens'"),
    ('{"text": "a", "deadline_ms": 0}', "deadline_ms: Input should be greater"),
    ('{"text": "a", "priority": 10}', "priority: Input should be less than or equal to 9."),
    ('{"text": ["a"], "stream": true}', "body: stream is for one text."),
    (json.dumps({"text": ["a"] * 257}), "text: List should have at most 256 items"),
    (json.dumps({"text": "a" * 800_001}), "text: String should have at most 800000 characters"),
    (json.dumps({"text": "a" * 10_001}), "text: a word has more than 10000 characters."),
    (json.dumps({"text": ["b " * 9000 + "a" * 10**6]}), "text.0: String should have at most"),
    (json.dumps({"text": ["b " * 9000 + "a" * 10_001]}), "text.0: a word has more than 10000"),
]


@pytest.mark.parametrize(("body", "message"), WRONG)
def test_a_wrong_body_is_refused(client: TestClient, body: str, message: str) -> None:
    assert refusal(post(client, body), 422, "invalid_request").startswith(message)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"text": "a"',
        b'{"text": "secret" "b"}',
        b'{"text": "\xff"}',
        b'{"text": "\\ud83d"}',
        b'{"text": ["a", "\\ude00"]}',
        b'{"text": "a", "\\ud800": 1}',
        b'{"text": "a\x00b"}',
        b'{"text": "a", "x": ' + b"[" * 1_000 + b"]" * 1_000 + b"}",
        b'{"text": ' + b'{"a":' * 1_000 + b"1" + b"}" * 1_000 + b"}",
        b"\xef\xbb\xbf\x00",
    ],
)
def test_a_body_that_cannot_be_read_is_refused(client: TestClient, body: bytes) -> None:
    message = refusal(post(client, body), 400, "unreadable_body")
    assert message.startswith("body: ")
    assert message.endswith(" Send a JSON object.")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_body_in_another_encoding_is_told_so(client: TestClient, encoding: str) -> None:
    body = '{"text": "my secret"}'.encode(encoding)
    message = refusal(post(client, body), 400, "unreadable_body")
    name = encoding.upper().replace("-LE", "LE").replace("-BE", "BE")
    assert message == f"body: looks like {name}, not UTF-8. Convert it: iconv -f {name} -t UTF-8."


@pytest.mark.parametrize(
    "body",
    [
        r'{"text": "\ud83d"}',
        r'{"text": "a", "options": {"prefix": "\ude00"}}',
        r'{"text": "a", "options": {"constraints": ["a", "b\ud83d"]}}',
        r'{"text": "a", "options": {"avoid": ["\ud83dx"]}}',
        r'{"text": "a", "model": "\ud83d"}',
        r'{"text": "a", "\ud83d": 1}',
    ],
)
def test_half_of_a_character_is_named(client: TestClient, body: str) -> None:
    message = refusal(post(client, body), 400, "unreadable_body")
    assert "half of a surrogate pair is no character: write both halves" in message


def test_a_byte_order_mark_before_a_body_is_named(client: TestClient) -> None:
    body = '{"text": "my secret"}'.encode("utf-8-sig")
    assert "begins with a byte order mark" in refusal(post(client, body), 400, "unreadable_body")


def test_numbers_of_any_length_are_refused(client: TestClient) -> None:
    body = b'{"text": "a", "options": {"n_best": ' + b"1" * 50_000 + b"}}"
    assert post(client, body).status_code in (400, 422)


def test_words_and_characters_at_the_limit_are_taken(client: TestClient) -> None:
    options = {"beam_size": 1, "max_length_a": 0, "max_length_b": 1}
    response = client.post(TRANSLATE, json={"text": "a" * 10_000, "options": options})
    assert response.status_code == 200
    response = client.post(TRANSLATE, json={"text": "a\0b", "options": options})
    assert response.status_code == 200


def test_a_demand_that_a_text_cannot_have_is_the_mistake_of_the_client(client: TestClient) -> None:
    options = {"constraints": ["Hund Hund Hund"], "max_length_b": 0}
    response = client.post(TRANSLATE, json={"text": "rot", "options": options})
    message = refusal(response, 422, "invalid_request")
    assert "constraints" in message
    assert "Hund" not in message


def test_no_model_for_this(client: TestClient) -> None:
    for more in ({"model": "other"}, {"source": "fr"}, {"target": "de"}):
        refusal(client.post(TRANSLATE, json={"text": "a"} | more), 404, "model_not_found")
    right = {"model": "tiny", "source": "de", "target": "en"}
    assert client.post(TRANSLATE, json={"text": "a"} | right).status_code == 200


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t \u3000", "\u2028", "\U0001f600", " \u2764\ufe0f\n"]
)
def test_texts_without_words_come_back_as_they_are(client: TestClient, text: str) -> None:
    for more in ({}, {"return": ["scores", "tokens", "alignment", "attention"]}):
        (ours,) = client.post(TRANSLATE, json={"text": text} | more).json()["translations"]
        assert (ours["translation"], ours["truncated"]) == (text, False)
    assert ours["pieces"] == ours["source_pieces"] == ours["alignment"] == []


def test_no_texts_give_no_translations(client: TestClient) -> None:
    assert client.post(TRANSLATE, json={"text": []}).json()["translations"] == []


def test_a_document_keeps_its_white_space(client: TestClient, translator: Translator) -> None:
    response = client.post(TRANSLATE, json={"text": DOCUMENT, "return": ["alignment", "tokens"]})
    (ours,) = response.json()["translations"]
    child, kid = (s for s in ("Das Kind sieht 3 Hunde auf der Straße.", "Ende"))
    line, question = "Der Hund läuft. Die Frau sieht das Haus, z. B. rot!", "Der Mann schläft?"
    a, b, c, d = translator.translate([line, question, child, kid])
    kept = f"  {a}\n\n\t{b}\r\n\n" + f"{c} " * 9 + f"\u00a0\n \U0001f600\n\n{d}  "
    assert ours["translation"] == kept
    assert len(ours["alignment"]) == len(ours["pieces"])
    assert max(ours["alignment"]) < len(ours["source_pieces"])


def test_a_document_begins_once_with_the_prefix(client: TestClient) -> None:
    text = "der Hund läuft.\ndie Frau sieht.\nrot"
    body = {"text": [text, "ein Mann"], "options": {"prefix": "Die"}}
    plain = client.post(TRANSLATE, json={"text": text}).json()["translations"][0]["translation"]
    first, second = client.post(TRANSLATE, json=body).json()["translations"]
    assert first["translation"].startswith("Die")
    assert first["translation"].split("\n")[1:] == plain.split("\n")[1:]
    assert second["translation"].startswith("Die")


def test_nobody_knows_which_sentence_has_the_constraint(client: TestClient) -> None:
    body = {"text": "der Hund.\ndie Frau.", "options": {"constraints": ["secret"]}}
    message = refusal(client.post(TRANSLATE, json=body), 422, "invalid_request")
    assert "2 parts" in message


# Streams


def events(response: httpx.Response) -> list[tuple[str, Any]]:
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in response.text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        assert data.startswith("data: ")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.mark.parametrize("text", ["der Hund läuft auf der Straße.", DOCUMENT, "", "\U0001f600"])
@pytest.mark.parametrize("n_best", [1, 2])
def test_a_stream_ends_with_what_the_answer_would_have_been(
    client: TestClient, text: str, n_best: int
) -> None:
    body = {"text": text, "options": {"n_best": n_best}, "return": ["scores", "tokens"]}
    whole = client.post(TRANSLATE, json=body).json()
    *partial, (name, done) = events(client.post(TRANSLATE, json=body | {"stream": True}))
    assert (name, done) == ("done", whole)
    final = done["translations"][0]["translation"]
    prefixes = [data["text"] for name, data in partial if name == "partial"]
    assert len(prefixes) == len(partial)
    assert all(final.startswith(prefix) for prefix in prefixes)
    assert prefixes == sorted(set(prefixes), key=len)
    assert prefixes or text != DOCUMENT


def test_a_stream_that_cannot_begin_has_a_status(client: TestClient) -> None:
    body = {"text": "a", "stream": True, "options": {"constraints": ["a a a"], "max_length_b": 0}}
    message = refusal(client.post(TRANSLATE, json=body), 422, "invalid_request")
    assert message.startswith("constraints: 3 pieces, but the translation of a source of 1 may")


def test_a_stream_that_fails_later_says_so(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = InferenceNetwork.step
    calls: list[int] = []

    def fail_later(self: InferenceNetwork, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) > 15:
            raise RuntimeError("secret")
        return honest(self, *arguments)

    monkeypatch.setattr(InferenceNetwork, "step", fail_later)
    # The first line is over after a few steps, the second takes 18 at least.
    text = "der Hund.\n" + "der Mann sieht das rote Haus " * 2
    body = {"text": text, "stream": True, "options": {"min_length": 18}}
    response = client.post(TRANSLATE, json=body)
    assert response.status_code == 200
    *partials, (last, error) = events(response)
    assert partials
    assert ({name for name, _ in partials}, last) == ({"partial"}, "error")
    assert error["error"]["type"] == "internal"
    assert "secret" not in response.text


# Deadlines, and clients that leave


@pytest.mark.parametrize("stream", [False, True])
def test_a_deadline_that_passes(client: TestClient, stream: bool) -> None:
    body = {"text": "der Hund " * 2000, "deadline_ms": 1, "stream": stream, "options": LONG}
    refusal(client.post(TRANSLATE, json=body), 504, "deadline_passed")
    admission = client.app.state.admission  # type: ignore[attr-defined]
    assert (admission.requests, admission.pieces) == (0, 0)
    body = {"text": "der Hund", "deadline_ms": 60_000}
    assert client.post(TRANSLATE, json=body).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_stops_the_work(
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    stream: bool,
    make_app: Callable[[Path], FastAPI],
) -> None:
    steps: list[int] = []
    honest = InferenceNetwork.step
    begun = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    def counted(self: InferenceNetwork, *arguments: Any) -> Any:
        steps.append(1)
        loops[0].call_soon_threadsafe(begun.set)
        return honest(self, *arguments)

    app = make_app(tiny_checkpoint)
    scope = {
        "type": "http",
        "method": "POST",
        "path": TRANSLATE,
        "headers": [(b"content-type", b"application/json")],
        "query_string": b"",
    }
    sent: list[MutableMapping[str, Any]] = []
    text = "der Hund.\n" * 2000
    body = json.dumps({"text": text, "stream": stream, "options": LONG}).encode()

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> MutableMapping[str, Any]:
            if message := next(messages, None):
                return message
            await begun.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        async with app.router.lifespan_context(app):
            monkeypatch.setattr(InferenceNetwork, "step", counted)
            steps.clear()
            await app(scope, receive, send)
            assert (app.state.admission.requests, app.state.admission.pieces) == (0, 0)
            # The next one does not stand behind 2000 sentences of 50 pieces.
            steps.clear()
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                assert (await client.post(TRANSLATE, json={"text": "rot"})).status_code == 200
            assert len(steps) < 50

    asyncio.run(serve())
    if not stream:
        assert sent[0]["status"] == 499  # for the log; nobody reads it
