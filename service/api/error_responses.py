"""Error responses: maps exceptions to statuses and to one JSON shape for all errors.

{"error": {"type": "overloaded", "message": "..."}}. A message repeats nothing of the request except
the name of an unknown key: texts to be translated do not belong in the logs of the client.
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
from service.api.request_bodies import MANY, ONE
from service.api.responses import ErrorBody, ErrorDetail
from service.errors import (
    RETRY_AFTER_S,
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
from service.observability.request_record import record_of


@dataclass(frozen=True, slots=True)
class Kind:
    """Status, type and message that a client gets for one kind of error."""

    status: int
    type: str
    message: str | None = None
    """None if the exception has a message of its own, written for the client."""

    def body(self, message: str | None = None) -> ErrorBody:
        """Return the JSON body, with this `message` if the kind has none."""
        return ErrorBody(error=ErrorDetail(type=self.type, message=self.message or message or ""))


INTERNAL = Kind(500, "internal", "The server failed at this request, and its log says how.")

TABLE: dict[type[Exception], Kind] = {
    UnreadableBody: Kind(400, "unreadable_body"),
    Unauthenticated: Kind(401, "unauthenticated"),
    Forbidden: Kind(403, "forbidden"),
    NoSuchModel: Kind(404, "model_not_found"),
    BodyTooSlow: Kind(408, "request_timeout"),
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
"""Looked up by the class of an exception, then by its base classes in order."""

ROUTING: dict[int, Kind] = {
    400: Kind(400, "unreadable_body", "The request cannot be read. Send a JSON object."),
    404: Kind(404, "not_found", "There is nothing at this path. /openapi.json lists all paths."),
    405: Kind(
        405,
        "method_not_allowed",
        "This path does not take this method. The header Allow names those that it takes.",
    ),
}
"""Refusals by the framework itself, by status."""

OTHER = "refused"
"""Type of a refusal by the framework that is not in `ROUTING`."""


def kind_of(error: Exception) -> Kind:
    """Return the kind of `error`."""
    if isinstance(error, HTTPException):
        refusal = "The server does not take this request. /openapi.json lists what it takes."
        other = Kind(error.status_code, OTHER, refusal)
        if error.status_code >= 500:
            other = Kind(error.status_code, INTERNAL.type, INTERNAL.message)
        return ROUTING.get(error.status_code, other)
    return next(TABLE[cls] for cls in type(error).__mro__ if cls in TABLE)


def error_body(error: Exception) -> ErrorBody:
    """Return the JSON body that reports `error` to a client."""
    return kind_of(error).body(error.unquoted if isinstance(error, DragomanError) else None)


def error_response(error: Exception) -> JSONResponse:
    """Return the response that reports `error` to a client."""
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
    """Make `app` answer every exception with `error_response`."""
    for cls in (*TABLE, HTTPException):
        app.add_exception_handler(cls, _handle)


async def _handle(request: Request, error: Exception) -> JSONResponse:
    return refusal(request, error)


def refusal(request: Request, error: Exception) -> JSONResponse:
    """Return `error_response` and store the error type in the record of the request."""
    record_of(request.scope).reason = kind_of(error).type
    return error_response(error)


def mistake_in(error: ValidationError, schema: type[BaseModel], content: bytes) -> RequestError:
    """Report the first mistake in a body, and where it is: "text.3: Input should be ...".

    An unknown key goes before all else: one that is mistyped is missing, too.

    Args:
        schema: the schema of the body.
        content: the body as received.
    """
    mistakes = error.errors(include_url=False, include_input=False)
    first = next((each for each in mistakes if each["type"] == "extra_forbidden"), mistakes[0])
    if first["type"] == "json_invalid":
        return _unreadable(content, first["msg"])
    if first["type"] == "extra_forbidden":  # the last part of `loc` is the unknown key
        *path, key = map(str, first["loc"])
        where = "".join(f"{part}." for part in path)
        return RequestError(unknown_key(where, key, _keys(schema, path)))
    place = [str(part) for part in first["loc"] if part not in (ONE, MANY)]
    if not place and first["type"] != "value_error":
        return RequestError("not a JSON object. Send one.", field="body")
    said = first["msg"].removeprefix("Value error, ").removesuffix(".")
    return RequestError(f"{said}.", field=".".join(place) or "body")


def _unreadable(content: bytes, reason: str) -> UnreadableBody:
    """Say why a body is not JSON."""
    try:
        refuse_foreign(content)
    except DataError as error:
        return UnreadableBody(str(error), field="body")
    if content.startswith(codecs.BOM_UTF8):
        reason = "it begins with a byte order mark, which JSON must not"
    elif "hex escape" in reason:  # the parser also says this of a lone surrogate
        reason = f"{reason} (half of a surrogate pair is no character: write both halves, or UTF-8)"
    return UnreadableBody(f"{reason}. Send a JSON object.", field="body")


def _keys(schema: type[BaseModel], path: list[str]) -> list[str]:
    """Return the keys that `schema` allows at `path`."""
    for part in path:
        inner = schema.model_fields[part].annotation
        assert isinstance(inner, type) and issubclass(inner, BaseModel)
        schema = inner
    return [field.alias or name for name, field in schema.model_fields.items()]
