"""OpenAPI: adds the request bodies to the schema, since the routes parse them themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.request_bodies import (
    ScoreRequest,
    SummarizeRequest,
    TraceRequest,
    TransduceRequest,
    TranslateRequest,
)
from service.api.responses import ErrorBody

BODIES: list[type[BaseModel]] = [
    TranslateRequest,
    SummarizeRequest,
    ScoreRequest,
    TraceRequest,
    TransduceRequest,
]

SECONDS = {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer"}}

DESCRIPTIONS: dict[int, str] = {
    400: "The body is not JSON that can be read.",
    401: "No API key was sent, or one that nobody has.",
    403: "The API key is not that of an administrator.",
    404: "No model fits the request.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "The body is not what the schema says, or cannot be served as it was asked.",
    429: "The server has as much work as it takes, or this API key has used up its rate.",
    500: "The server failed.",
    503: "The server is shutting down.",
    504: "deadline_ms passed before the answer was ready.",
}

EVENT = {
    "type": "object",
    "description": 'One of the server-sent events that answer "stream": true.',
    "properties": {
        "event": {"type": "string", "enum": ["partial", "done", "error"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": '`partial`: {"text": what is certain so far}. `done`: the JSON of an '
            "answer without stream. `error`: an ErrorBody.",
        },
    },
    "required": ["event", "data"],
}

READ = (401, 429, 500, 503)
"""Error statuses of a route that only reads."""
WORK = tuple(status for status in DESCRIPTIONS if status != 403)
"""Error statuses of a route with a body that gives work to a model."""
ADMINISTRATION = (401, 403, 404, 422, 429, 500, 503)


def responses(
    answer: object, statuses: tuple[int, ...], *, streamed: bool = False
) -> dict[int | str, dict[str, Any]]:
    """Build the `responses` of a route that returns `answer` or fails with these statuses."""
    described: dict[int | str, dict[str, Any]] = {200: {"model": answer}}
    if streamed:
        described[200]["content"] = {"text/event-stream": {"schema": EVENT}}
    for status in statuses:
        described[status] = {"model": ErrorBody, "description": DESCRIPTIONS[status]}
        if status in (429, 503):
            described[status]["headers"] = {"Retry-After": SECONDS}
    return described


def reads(body: type[BaseModel]) -> dict[str, Any]:
    """Build the `openapi_extra` of a route that reads such a body."""
    schema = {"$ref": f"#/components/schemas/{body.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def describe(app: FastAPI, max_body_bytes: int, keys_needed: bool) -> None:
    """Make `app` include the bodies and the API keys in its OpenAPI schema."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app, max_body_bytes, keys_needed)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _described(app: FastAPI, max_body_bytes: int, keys_needed: bool) -> dict[str, Any]:
    found = get_openapi(title=app.title, version=app.version, routes=app.routes)
    _, bodies = models_json_schema(
        [(body, "validation") for body in BODIES], ref_template="#/components/schemas/{model}"
    )
    found["components"]["schemas"] |= bodies["$defs"]
    found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in found["paths"].items():
        for operation in operations.values():
            responses = operation["responses"]
            if "413" in responses:
                responses["413"]["description"] = f"The body has more than {max_body_bytes} bytes."
            if path.startswith("/v1/") and (keys_needed or "403" in responses):
                operation["security"] = [{"key": []}]
    return found
