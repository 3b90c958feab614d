"""Errors: one table from exception to status, and the one JSON shape of every refusal.

{"error": {"type": "overloaded", "message": "..."}}. Nothing of the request is repeated in it: what
people send to be translated does not belong into the logs of whoever calls us.
"""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from model.errors import DragomanError, RequestError
from service.schemas import MANY, ONE, ErrorBody, ErrorDetail

RETRY_AFTER_S = 1


class Overloaded(RequestError):
    """As many requests as the server takes are waiting for their answers."""

    def __init__(self, message: str, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ShuttingDown(RequestError):
    """The server is about to exit."""


class DeadlinePassed(RequestError):
    """The deadline of the request came before its answer."""

    def __init__(self) -> None:
        super().__init__(
            "deadline_ms: it passed before the answer was ready. Allow more, or try again later."
        )


class BodyTooLarge(HTTPException):
    """A body over the limit. An HTTPException, for FastAPI lets no other out of reading a body."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"body: more than {limit} bytes. Send fewer or shorter texts.")


class ClientGone(Exception):
    """The client left before its answer was ready. It gets none; the log shows the status."""


class EngineFailed(Exception):
    """A step of the engine raised, and this request was in it. A failure of ours."""


STATUS: dict[type[Exception], int] = {
    DragomanError: 422,
    RequestValidationError: 422,
    Overloaded: 429,
    ClientGone: 499,
    EngineFailed: 500,
    Exception: 500,
    ShuttingDown: 503,
    DeadlinePassed: 504,
}
"""The nearest class of an exception decides. An HTTPException brings its own status."""

TYPES = {
    400: "unreadable_body",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    422: "invalid_request",
    429: "overloaded",
    499: "client_gone",
    500: "internal",
    503: "shutting_down",
    504: "deadline_passed",
}

MESSAGES = {
    400: "body: not JSON that can be read. Send a JSON object.",
    404: "There is nothing at this path. /openapi.json lists what there is.",
    405: "This path does not take this method. The header Allow names those that it takes.",
    499: "The client has closed the connection.",
    500: "The server failed at this request, and its log says how. Try again.",
}
"""Where the exception itself has nothing to say to the client."""

OTHER = ("refused", "The server does not take this request. /openapi.json lists what it takes.")
"""Type and message of a refusal that a framework may bring and that is not in the tables."""


def error_response(error: Exception) -> JSONResponse:
    """What a client is told of `error`."""
    if isinstance(error, HTTPException):
        status, headers = error.status_code, dict(error.headers or {})
    else:
        status = next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)
        wait = error.retry_after_s if isinstance(error, Overloaded) else RETRY_AFTER_S
        headers = {"Retry-After": str(wait)} if status in (429, 503) else {}
    if status in TYPES:
        kind, message = TYPES[status], _message(error, status)
    else:
        kind, message = OTHER if status < 500 else (TYPES[500], MESSAGES[500])
    body = ErrorBody(error=ErrorDetail(type=kind, message=message))
    return JSONResponse(body.model_dump(), status, headers)


def add_error_handlers(app: FastAPI) -> None:
    """Let `app` answer every exception with `error_response`."""
    for cls in (*STATUS, HTTPException):
        app.add_exception_handler(cls, _handle)


async def _handle(request: Request, error: Exception) -> JSONResponse:
    return error_response(error)


def _message(error: Exception, status: int) -> str:
    if status in MESSAGES:
        return MESSAGES[status]
    if isinstance(error, RequestValidationError):
        return _first_mistake(error)
    return error.detail if isinstance(error, HTTPException) else str(error)


def _first_mistake(error: RequestValidationError) -> str:
    """The first thing that is wrong with a body, and where: "text.3: Input should be ..."."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        reason, position = first["ctx"]["error"], first["loc"][-1]
        return f"body: not JSON ({reason} at character {position}). Send a JSON object."
    place = [str(part) for part in first["loc"][1:] if part not in (ONE, MANY)]
    if first["type"] == "extra_forbidden":  # the last part is the key, which the client chose
        where = ".".join(place[:-1]) or "body"
        return f"{where}: an unknown key. /openapi.json lists those that are known."
    if not place:
        return 'body: not a JSON object with "Content-Type: application/json". Send one.'
    return f"{'.'.join(place)}: {first['msg']}."
