"""Errors: each exception reaches the client as its status, in the one shape."""

import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from model.errors import ConfigError, DragomanError, RequestError
from service.errors import (
    OTHER,
    STATUS,
    TYPES,
    BodyTooLarge,
    ClientGone,
    EngineFailed,
    Overloaded,
    ShuttingDown,
    add_error_handlers,
)

SECRET = "what the client wrote"


@pytest.mark.parametrize(
    ("error", "status", "type", "message"),
    [
        (DragomanError("beam_size: 0."), 422, "invalid_request", "beam_size: 0."),
        (ConfigError("n_best: 3."), 422, "invalid_request", "n_best: 3."),
        (RequestError("too long."), 422, "invalid_request", "too long."),
        (Overloaded("Later."), 429, "overloaded", "Later."),
        (ShuttingDown("Elsewhere."), 503, "shutting_down", "Elsewhere."),
        (ClientGone(), 499, "client_gone", "The client has closed the connection."),
        (EngineFailed(), 500, "internal", None),
        (BodyTooLarge(9), 413, "body_too_large", "body: more than 9 bytes."),
        (HTTPException(400, SECRET), 400, "unreadable_body", None),
        (HTTPException(404, SECRET), 404, "not_found", None),
        (HTTPException(405, SECRET), 405, "method_not_allowed", None),
        (HTTPException(415, SECRET), 415, "refused", "The server does not take this request."),
        (HTTPException(501, SECRET), 501, "internal", "The server failed at this request"),
        (RuntimeError(SECRET), 500, "internal", None),
        (KeyError(SECRET), 500, "internal", None),
    ],
)
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


def test_every_status_has_a_type() -> None:
    assert set(STATUS.values()) <= TYPES.keys()
    assert len({*TYPES.values(), OTHER[0]}) == len(TYPES) + 1


def test_headers_of_an_http_error_are_kept() -> None:
    app = FastAPI()
    add_error_handlers(app)

    @app.post("/")
    async def nothing() -> None: ...

    response = TestClient(app).get("/")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
