"""Error responses: one table from exception to status, and the one JSON shape of every refusal.

{"error": {"type": "overloaded", "message": "..."}}. Nothing of the request but the name of an
unknown key is repeated in it: what people send to be translated does not belong into the logs of
whoever calls us.
"""

import codecs
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from model.config import unknown_key
from model.errors import DataError, DragomanError, InputTooLong, RequestError
from model.text.charset import refuse_foreign
from service.api.requests import MANY, ONE, ErrorBody, ErrorDetail
from service.errors import (
    RETRY_AFTER_S,
    BodyTooLarge,
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
from service.observability.request_record import record_of


@dataclass(frozen=True, slots=True)
class Kind:
    """What a client is told of one kind of error."""

    status: int
    type: str
    message: str | None = None
    """None: the exception has its own, written for the client."""


INTERNAL = Kind(500, "internal", "The server failed at this request, and its log says how.")

TABLE: dict[type[Exception], Kind] = {
    UnreadableBody: Kind(400, "unreadable_body"),
    Unauthenticated: Kind(401, "unauthenticated"),
    Forbidden: Kind(403, "forbidden"),
    NoSuchModel: Kind(404, "model_not_found"),
    BodyTooLarge: Kind(413, "body_too_large"),
    WrongContentType: Kind(415, "wrong_content_type"),
    WrongHost: Kind(421, "wrong_host"),
    DragomanError: Kind(422, "invalid_request"),
    InputTooLong: Kind(422, "input_too_long"),
    Overloaded: Kind(429, "overloaded"),
    TooManyRequests: Kind(429, "rate_limited"),
    ClientGone: Kind(499, "client_gone", "The client has closed the connection."),
    EngineFailed: INTERNAL,
    Exception: INTERNAL,
    ShuttingDown: Kind(503, "shutting_down"),
    DeadlinePassed: Kind(504, "deadline_passed"),
}
"""The nearest class of an exception decides."""

ROUTING: dict[int, Kind] = {
    400: Kind(400, "unreadable_body", "The request cannot be read. Send a JSON object."),
    404: Kind(404, "not_found", "There is nothing at this path. /openapi.json lists all paths."),
    405: Kind(
        405,
        "method_not_allowed",
        "This path does not take this method. The header Allow names those that it takes.",
    ),
}
"""What the framework itself refuses, by its status."""

OTHER = "refused"
"""Type of a refusal that the framework may bring and that is not in the tables."""


def kind_of(error: Exception) -> Kind:
    """What a client is told of `error`, apart from a message of its own."""
    if isinstance(error, HTTPException):
        refusal = "The server does not take this request. /openapi.json lists what it takes."
        other = Kind(error.status_code, OTHER, refusal)
        if error.status_code >= 500:
            other = Kind(error.status_code, INTERNAL.type, INTERNAL.message)
        return ROUTING.get(error.status_code, other)
    return next(TABLE[cls] for cls in type(error).__mro__ if cls in TABLE)


def error_body(error: Exception) -> ErrorBody:
    """The JSON that tells a client of `error`."""
    kind = kind_of(error)
    message = kind.message
    if message is None:
        assert isinstance(error, DragomanError)
        message = error.unquoted
    return ErrorBody(error=ErrorDetail(type=kind.type, message=message))


def error_response(error: Exception) -> JSONResponse:
    """The answer that tells a client of `error`."""
    status = kind_of(error).status
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if status in (429, 503):
        wait = RETRY_AFTER_S
        if isinstance(error, Overloaded | TooManyRequests):
            wait = error.retry_after_s
        headers["Retry-After"] = str(wait)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(error_body(error).model_dump(), status, headers)


def add_error_handlers(app: FastAPI) -> None:
    """Let `app` answer every exception with `error_response`."""
    for cls in (*TABLE, HTTPException):
        app.add_exception_handler(cls, _handle)


async def _handle(request: Request, error: Exception) -> JSONResponse:
    return refusal(request, error)


def refusal(request: Request, error: Exception) -> JSONResponse:
    """`error_response`, with the reason written down in the request's record."""
    record_of(request.scope).reason = kind_of(error).type
    return error_response(error)


def mistake_in(error: ValidationError, schema: type[BaseModel], content: bytes) -> RequestError:
    """The first thing that is wrong with a body, and where: "text.3: Input should be ...".

    Args:
        schema: what the body should be.
        content: the body as it came.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return _unreadable(content, first["msg"])
    if first["type"] == "extra_forbidden":  # the last part is the key, which the client chose
        *path, key = map(str, first["loc"])
        where = "".join(f"{part}." for part in path)
        return RequestError(unknown_key(where, key, _keys(schema, path)))
    place = [str(part) for part in first["loc"] if part not in (ONE, MANY)]
    if not place and first["type"] != "value_error":
        return RequestError("not a JSON object. Send one.", field="body")
    said = first["msg"].removeprefix("Value error, ").removesuffix(".")
    return RequestError(f"{said}.", field=".".join(place) or "body")


def _unreadable(content: bytes, reason: str) -> UnreadableBody:
    """Why a body is not JSON."""
    try:
        refuse_foreign(content)
    except DataError as error:
        return UnreadableBody(str(error), field="body")
    if content.startswith(codecs.BOM_UTF8):
        reason = "it begins with a byte order mark, which JSON must not"
    elif "hex escape" in reason:  # what the parser says of half a character, too
        reason = f"{reason} (half of a surrogate pair is no character: write both halves, or UTF-8)"
    return UnreadableBody(f"{reason}. Send a JSON object.", field="body")


def _keys(schema: type[BaseModel], path: list[str]) -> list[str]:
    """The keys that are known at a place of a body."""
    for part in path:
        inner = schema.model_fields[part].annotation
        assert isinstance(inner, type) and issubclass(inner, BaseModel)
        schema = inner
    return [field.alias or name for name, field in schema.model_fields.items()]
