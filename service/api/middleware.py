"""Middleware: gives each request an id and a record, counts and logs it, and handles exceptions.

It is our outermost middleware, so it sees what clients see. Unhandled exceptions are logged and
answered here, because further out the answer would lack the request id.
"""

import asyncio
import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.error_responses import error_response
from service.observability.logs import log_request
from service.observability.metrics import Metrics
from service.observability.request_record import (
    CURRENT,
    GONE,
    OK,
    OTHER_ROUTE,
    STATE,
    RequestRecord,
    outcome_of,
)
from service.observability.tracing import Tracing

REQUEST_ID = "X-Request-Id"
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Request ids that are accepted from clients; any other is replaced by a generated one."""

SLICE = 65_536
"""Bytes of an answer that are written at a time."""
CLIENT_LEFT, SHUTTING_DOWN = 499, 503

log = logging.getLogger(__name__)


class RequestMiddleware:
    """ASGI middleware around everything else."""

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, tracing: Tracing | None, log_texts: bool
    ) -> None:
        self._app = app
        self._metrics, self._tracing, self._log_texts = metrics, tracing, log_texts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        record = RequestRecord(id=request_id(headers.get(REQUEST_ID, "")), method=scope["method"])
        scope.setdefault("state", {}).update({STATE: record, "request_id": record.id})
        token = CURRENT.set(record)
        self._metrics.requests_in_progress.inc()
        try:
            await _Exchange(self._app, record, scope, receive, send).run()
        finally:
            self._metrics.requests_in_progress.dec()
            self._finish(record, scope, headers)
            CURRENT.reset(token)

    def _finish(self, record: RequestRecord, scope: Scope, headers: Headers) -> None:
        record.ended = time.monotonic()
        record.route = route_of(scope)
        count(record, self._metrics)
        log_request(record, texts=self._log_texts)
        if self._tracing is not None:
            self._tracing.export(record, headers)


def count(record: RequestRecord, metrics: Metrics) -> None:
    """Update the metrics for a finished request."""
    outcome = outcome_of(record.status)
    metrics.requests.labels(record.route, record.model, outcome).inc()
    if outcome == OK:
        metrics.request_seconds.labels(record.route, record.model).observe(record.seconds)
    elif outcome != GONE:
        metrics.refusals.labels(record.reason or outcome).inc()
    if record.first_partial is not None:
        seconds = record.first_partial - record.started
        metrics.first_partial_seconds.labels(record.model).observe(seconds)


class _Exchange:
    """The ASGI messages of one request and its answer."""

    def __init__(
        self, app: ASGIApp, record: RequestRecord, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._app, self._record, self._scope = app, record, scope
        self._receive, self._send = receive, send
        self._begun = self._complete = self._left = False

    async def run(self) -> None:
        """Run the application, and answer for it if it raises before it has answered."""
        record = self._record
        try:
            await self._app(self._scope, self._receive_message, self._send_message)
        except asyncio.CancelledError:  # the drain time is over
            record.refused(SHUTTING_DOWN, "shutting_down")
            raise
        except ClientDisconnect:
            self._left = True
        except Exception as error:
            log.exception("a request failed")
            record.refused(500, "internal")
            if self._begun:
                raise  # the answer has begun: the server closes the connection
            await error_response(error)(self._scope, self._receive_message, self._send_message)
        finally:
            if self._left and not self._complete:
                record.refused(CLIENT_LEFT, GONE)

    async def _receive_message(self) -> Message:
        message = await self._receive()
        self._left = self._left or message["type"] == "http.disconnect"
        return message

    async def _send_message(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            self._record.status = message["status"]
            MutableHeaders(scope=message)[REQUEST_ID] = self._record.id
        elif message["type"] == "http.response.body":
            message = await self._send_in_slices(message)
            self._complete = not message.get("more_body", False)
        await self._send(message)

    async def _send_in_slices(self, message: Message) -> Message:
        """Send all of a long body but its last slice, and return the message with that.

        uvicorn waits for a client that does not read before it writes, not while it does: written
        in one piece, a long answer would be in the write buffer whole, for as long as that takes.
        """
        body: bytes = message.get("body", b"")
        if len(body) <= SLICE:
            return message
        last = (len(body) - 1) // SLICE * SLICE
        for begin in range(0, last, SLICE):
            part = body[begin : begin + SLICE]
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
        return {**message, "body": body[last:]}


def route_of(scope: Scope) -> str:
    """Return the path template of the route, such as /v1/models/{name}."""
    route = scope.get("route")
    template: str = getattr(route, "path", OTHER_ROUTE)
    # FastAPI omits the prefix of an included router: take it from the path of the request.
    try:
        rest: str = getattr(route, "path_format", "").format(**scope.get("path_params", {}))
    except KeyError:  # the parameters of a mount are not in `path_params`
        return template
    path: str = scope["path"]
    return path.removesuffix(rest) + template if rest and path.endswith(rest) else template


def request_id(given: str) -> str:
    """Return `given` if it is acceptable, otherwise a new id of 32 hexadecimal digits."""
    return given if SANE_ID.fullmatch(given) else secrets.token_hex(16)
