"""Errors: each exception reaches the client as its status, in the one shape."""

import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from model.errors import ConfigError, DragomanError, InputTooLong, RequestError
from service.api.error_responses import OTHER, ROUTING, TABLE, add_error_handlers
from service.errors import (
    BodyTooLarge,
    BodyTooSlow,
    ClientGone,
    DeadlinePassed,
    EngineFailed,
    Forbidden,
    NoSuchModel,
    Overloaded,
    ShuttingDown,
    TooManyRequests,
    Unauthenticated,
    UnreadableBody,
    WrongContentType,
    WrongHost,
)

SECRET = "what the client wrote"

CASES = [
    (UnreadableBody("Not JSON."), 400, "unreadable_body", "Not JSON."),
    (Unauthenticated("Send a key."), 401, "unauthenticated", "Send a key."),
    (Forbidden("Not you."), 403, "forbidden", "Not you."),
    (NoSuchModel("None."), 404, "model_not_found", "None."),
    (BodyTooSlow(9, 10), 408, "request_timeout", "body: it arrived too slowly. After 9 seconds"),
    (BodyTooLarge(9), 413, "body_too_large", "body: more than 9 bytes."),
    (WrongHost(), 421, "wrong_host", "The header Host has none of the names"),
    (WrongContentType("JSON."), 415, "wrong_content_type", "JSON."),
    (DragomanError("beam_size: 0."), 422, "invalid_request", "beam_size: 0."),
    (ConfigError("n_best: 3."), 422, "invalid_request", "n_best: 3."),
    (RequestError("too long."), 422, "invalid_request", "too long."),
    (InputTooLong("9 pieces.", field="text.3"), 422, "input_too_long", "text.3: 9 pieces."),
    (
        ConfigError("{} is part of {}.", field="avoid", quoted=(SECRET, SECRET)),
        422,
        "invalid_request",
        "avoid: one is part of one.",
    ),
    (Overloaded("Later.", 9), 429, "overloaded", "Later."),
    (TooManyRequests(9), 429, "rate_limited", "This client sends more"),
    (ClientGone(), 499, "client_gone", "The client has closed the connection."),
    (EngineFailed(), 500, "internal", None),
    (ShuttingDown(), 503, "shutting_down", "The server is shutting down."),
    (DeadlinePassed(), 504, "deadline_passed", "deadline_ms: it passed"),
    (HTTPException(400, SECRET), 400, "unreadable_body", None),
    (HTTPException(404, SECRET), 404, "not_found", None),
    (HTTPException(405, SECRET), 405, "method_not_allowed", None),
    (HTTPException(418, SECRET), 418, "refused", "The server does not take this request."),
    (HTTPException(501, SECRET), 501, "internal", "The server failed at this request"),
    (RuntimeError(SECRET), 500, "internal", None),
    (KeyError(SECRET), 500, "internal", None),
]


@pytest.mark.parametrize(("error", "status", "type", "message"), CASES)
def test_every_error_has_a_status_and_the_one_shape(
    error: Exception, status: int, type: str, message: str | None
) -> None:
    app = FastAPI()
    add_error_handlers(app)

    @app.get("/")
    async def fail() -> None:
        raise error

    response = TestClient(app, raise_server_exceptions=False).get("/")
    assert response.status_code == status
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"type", "message"}
    assert body["error"]["type"] == type
    assert body["error"]["message"].endswith(".")
    assert body["error"]["message"].startswith(message or "")
    assert SECRET not in response.text
    assert ("retry-after" in response.headers) == (status in (429, 503))
    if status == 429:
        assert response.headers["retry-after"] == "9"


def test_the_whole_table_is_tried() -> None:
    tried = {type(error) for error, *_ in CASES} | {Exception}
    assert set(TABLE) <= tried


def test_a_type_tells_the_status() -> None:
    statuses: dict[str, int] = {OTHER: 0}
    for kind in (*TABLE.values(), *ROUTING.values()):
        assert statuses.setdefault(kind.type, kind.status) == kind.status


def test_headers_of_an_http_error_are_kept() -> None:
    app = FastAPI()
    add_error_handlers(app)

    @app.post("/")
    async def nothing() -> None: ...

    response = TestClient(app).get("/")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
