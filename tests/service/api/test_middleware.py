"""Measuring: each request has an id, is counted under the right labels, and is logged, no text."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import StreamingResponse
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from service.api.error_responses import add_error_handlers
from service.api.middleware import SANE_ID, SLICE, RequestMiddleware, count
from service.api.routes.health import health_router
from service.errors import ClientGone, Overloaded
from service.limits.admission import Admission
from service.observability.logs import JsonFormatter
from service.observability.metrics import Metrics
from service.observability.request_record import Phase, RequestRecord, reached, record_of
from tests.patience import PATIENCE_S

SECRET, TEXT, ADDRESS = "sesame-0451", "Blaubeerpfannkuchen", "203.0.113.77"
HEADERS = {"Authorization": f"Bearer {SECRET}", "X-Forwarded-For": ADDRESS}


async def translate(request: Request) -> dict[str, str]:
    """Writes down what the route of the service does, and fails if the text says so."""
    text = (await request.json())["text"]
    record = record_of(request.scope)
    record.model, record.key, record.texts = "de-en", "alice", [text]
    for phase, after in zip(Phase, (1, 3, 7, 8), strict=True):
        reached(phase, record.started + after)
    if text.startswith("full"):
        record.reason = "overloaded"
        raise Overloaded("There is no room.")
    if text.startswith("gone"):
        raise ClientGone
    if text.startswith("bad"):
        raise ValueError(f"cannot digest {text!r}")
    record.source_pieces, record.target_pieces = 4, 5
    record.answers = [text.upper()]
    return {"text": text.upper()}


async def stream(name: str, request: Request) -> StreamingResponse:
    """A stream that ends in the way that the name says."""
    record = record_of(request.scope)
    record.model = "en-de"

    async def parts() -> AsyncIterator[str]:
        for part in ("a", "b"):
            record.partial()
            yield part
        if name == "late":
            record.refused(504, "deadline_passed")
        if name == "broken":
            raise ValueError("half an answer is out")
        if name == "endless":
            await asyncio.Event().wait()

    return StreamingResponse(parts())


def make_app(log_texts: bool = False) -> FastAPI:
    metrics = Metrics()
    app = FastAPI()
    add_error_handlers(app)
    app.include_router(health_router(list, lambda: False, Admission(1, 1), metrics))
    router = APIRouter()
    router.add_api_route("/translate", translate, methods=["POST"])
    router.add_api_route("/models/{name}/stream", stream, methods=["POST"], response_model=None)
    app.include_router(router, prefix="/v1")
    app.add_middleware(RequestMiddleware, metrics=metrics, tracing=None, log_texts=log_texts)
    return app


@pytest.fixture
def client() -> TestClient:
    return TestClient(make_app(), headers=HEADERS, raise_server_exceptions=False)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the log gets."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(texts=False))
    logger = logging.getLogger("service")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(level)


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def requests_counted(client: TestClient) -> dict[tuple[str, str, str], float]:
    """How many there were for each (route, model, outcome), but for the scrape itself."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    (family,) = [each for each in families if each.name == "dragoman_requests"]
    return {
        (each.labels["route"], each.labels["model"], each.labels["outcome"]): each.value
        for each in family.samples
    }


def send_all_kinds(client: TestClient) -> None:
    for begin in ("", "full ", "bad ", "gone "):
        client.post("/v1/translate", json={"text": begin + TEXT})
    for name in ("good", "late", "broken"):
        client.post(f"/v1/models/{name}/stream")
    client.get(f"/{TEXT}?key={SECRET}")
    client.delete("/v1/translate")
    client.get("/livez", headers={"X-Request-Id": f"{TEXT} {SECRET}"})


def test_every_request_is_counted_by_route_model_and_outcome(client: TestClient) -> None:
    send_all_kinds(client)
    stream = "/v1/models/{name}/stream"
    assert requests_counted(client) == {
        ("/v1/translate", "de-en", "ok"): 1,
        ("/v1/translate", "de-en", "overloaded"): 1,
        ("/v1/translate", "de-en", "failed"): 1,
        ("/v1/translate", "de-en", "client_gone"): 1,
        (stream, "en-de", "ok"): 1,
        (stream, "en-de", "deadline"): 1,
        (stream, "en-de", "failed"): 1,
        ("other", "", "refused"): 1,
        ("/v1/translate", "", "refused"): 1,
        ("/livez", "", "ok"): 1,
    }


def test_no_label_holds_a_text_a_secret_or_an_address(client: TestClient) -> None:
    send_all_kinds(client)
    text = client.get("/metrics").text
    allowed = {"le", "route", "model", "outcome", "reason", "kind", "version", "digest"}
    for family in text_string_to_metric_families(text):
        assert {name for each in family.samples for name in each.labels} <= allowed
    for leak in (TEXT, SECRET, ADDRESS, "testclient", "alice", "cannot digest"):
        assert leak.lower() not in text.lower()


def test_the_log_has_the_request_and_no_text(client: TestClient, written: io.StringIO) -> None:
    send_all_kinds(client)
    for leak in (TEXT, SECRET, ADDRESS, "testclient"):
        assert leak.lower() not in written.getvalue().lower()
    requests = [line for line in lines(written) if line["message"] == "request"]
    assert len(requests) == 9  # that for /livez is of the level debug
    good = requests[0]
    assert good.pop("time").endswith("+00:00")
    assert SANE_ID.fullmatch(good.pop("request"))
    assert 0 < good.pop("seconds") < 60
    assert good == {
        "level": "info",
        "logger": "service.observability.logs",
        "message": "request",
        "method": "POST",
        "route": "/v1/translate",
        "status": 200,
        "model": "de-en",
        "key": "alice",
        "texts": 1,
        "source_pieces": 4,
        "target_pieces": 5,
        "queue_seconds": 2,
        "engine_seconds": 4,
    }
    assert [line["status"] for line in requests] == [200, 429, 500, 499, 200, 504, 500, 404, 405]
    assert requests[5]["reason"] == "deadline_passed"
    assert 0 < requests[5]["first_partial_seconds"] < 60


def test_texts_are_logged_for_an_operator_who_wants_them(written: io.StringIO) -> None:
    TestClient(make_app(log_texts=True)).post("/v1/translate", json={"text": TEXT})
    (line,) = lines(written)
    assert (line["source"], line["answer"]) == ([TEXT], [TEXT.upper()])


def test_a_failure_is_answered_and_logged_with_the_id_of_its_request(
    client: TestClient, written: io.StringIO
) -> None:
    response = client.post(
        "/v1/translate", json={"text": "bad " + TEXT}, headers={"X-Request-Id": "my-id.7"}
    )
    assert (response.status_code, response.json()["error"]["type"]) == (500, "internal")
    assert response.headers["x-request-id"] == "my-id.7"
    failure, request = lines(written)
    assert (failure["level"], failure["request"], request["request"]) == (
        "error",
        "my-id.7",
        "my-id.7",
    )
    assert failure["exception"].endswith("\nValueError\n")
    assert "in translate" in failure["exception"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("7f3a-9.B_c", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("", False),
        ("two words", False),
        ("a\tb", False),
        ('"},{"', False),
        ("ü", False),
    ],
)
def test_a_sane_id_is_kept_and_any_other_replaced(
    client: TestClient, given: str, kept: bool
) -> None:
    headers = {"X-Request-Id": given.encode()}
    answered = client.get("/livez", headers=headers).headers.get_list("x-request-id")
    assert len(answered) == 1
    assert (answered == [given]) is kept
    assert SANE_ID.fullmatch(answered[0])
    assert kept or len(answered[0]) == 32


def test_two_requests_have_two_ids(client: TestClient) -> None:
    assert len({client.get("/livez").headers["x-request-id"] for _ in range(100)}) == 100


def exchange(app: FastAPI, path: str, incoming: list[Message], cancel: bool = False) -> None:
    """A request whose client does not wait for the end."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
    }

    async def test() -> None:
        begun = asyncio.Event()

        async def receive() -> Message:
            if len(incoming) == 1:
                await begun.wait()
            return incoming.pop(0) if incoming else await asyncio.Future()

        async def send(message: Message) -> None:
            if message.get("body"):
                begun.set()

        request = asyncio.create_task(app(scope, receive, send))
        if cancel:
            await begun.wait()
            request.cancel()
        await asyncio.wait_for(asyncio.wait([request]), timeout=PATIENCE_S)

    asyncio.run(test())


BODY: Message = {"type": "http.request", "body": b"", "more_body": False}


@pytest.mark.parametrize(
    ("incoming", "cancel", "outcome"),
    [
        ([BODY, {"type": "http.disconnect"}], False, "client_gone"),
        ([BODY], True, "unavailable"),  # the server has waited long enough
    ],
)
def test_a_stream_that_is_cut_short_is_not_counted_as_good(
    incoming: list[Message], cancel: bool, outcome: str
) -> None:
    app = make_app()
    exchange(app, "/v1/models/endless/stream", list(incoming), cancel)
    client = TestClient(app)
    assert requests_counted(client) == {("/v1/models/{name}/stream", "en-de", outcome): 1}
    assert "dragoman_requests_in_progress 1.0" in client.get("/metrics").text  # the scrape


def test_only_good_answers_are_timed() -> None:
    metrics = Metrics()
    for status in (200, 422, 499, 500):
        record = RequestRecord(
            id="1", method="POST", started=10, ended=12, route="/r", status=status
        )
        count(record, metrics)
    value = metrics.registry.get_sample_value
    assert value("dragoman_request_seconds_sum", {"route": "/r", "model": ""}) == 2
    assert value("dragoman_refusals_total", {"reason": "refused"}) == 1
    assert value("dragoman_refusals_total", {"reason": "failed"}) == 1
    assert value("dragoman_refusals_total", {"reason": "client_gone"}) is None


def test_the_first_partial_is_timed_from_the_head_of_the_request() -> None:
    metrics = Metrics()
    record = RequestRecord(
        id="1", method="POST", model="a", started=10, first_partial=10.5, status=504
    )
    count(record, metrics)
    value = metrics.registry.get_sample_value
    assert value("dragoman_first_partial_seconds_sum", {"model": "a"}) == 0.5


@pytest.mark.parametrize("size", [0, 1, SLICE, SLICE + 1, 10 * SLICE + 7])
def test_a_long_answer_is_sent_in_slices(size: int) -> None:
    """Otherwise all of it is in the buffer of a client that does not read."""
    body = bytes(range(256)) * (size // 256 + 1)
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body[:size]})

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    middleware = RequestMiddleware(app, metrics=Metrics(), tracing=None, log_texts=False)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(middleware(scope, receive, send))
    assert b"".join(message["body"] for message in sent[1:]) == body[:size]
    assert all(len(message["body"]) <= SLICE for message in sent[1:])
    assert [message.get("more_body", False) for message in sent[1:]] == [
        *[True] * (len(sent) - 2),
        False,
    ]
