"""Intake: checks a request before any work is done for it, the cheapest checks first.

In order: API key, rate limit, content type, content length, admission, reading the body, and
validating it. After that, the only event that can arrive on the connection is its end.
"""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import ExitStack
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from service.api.error_responses import mistake_in
from service.errors import (
    BodyTooLarge,
    ClientGone,
    DeadlinePassed,
    UnreadableBody,
    WrongContentType,
)
from service.limits.admission import Admission, Reservation
from service.limits.api_keys import APIKeys
from service.limits.rate_limit import RateLimiter

BODY_S = 30
"""Seconds within which a body must arrive, since it already takes up room in the server."""

Body = TypeVar("Body", bound=BaseModel)
T = TypeVar("T")


class Intake:
    """Checks requests, in the same order on all routes. Used only on the event loop."""

    def __init__(
        self, keys: APIKeys, rates: RateLimiter, admission: Admission, max_body_bytes: int
    ) -> None:
        self._keys, self._rates, self._admission = keys, rates, admission
        self._max_body_bytes = max_body_bytes

    def key(self, request: Request) -> str:
        """Authenticate the request, count it against the rate limit and return the name of its key.

        Raises:
            Unauthenticated, TooManyRequests
        """
        key = self._keys.authenticate(request.headers.get("authorization"))
        self._rates.take(key, time.monotonic())
        return key

    def check_admin(self, request: Request) -> None:
        """Check that the request has an admin key, and count it against the rate limit.

        Raises:
            Unauthenticated, Forbidden, TooManyRequests
        """
        header = request.headers.get("authorization")
        self._rates.take(self._keys.authenticate_admin(header), time.monotonic())

    async def body(
        self, request: Request, schema: type[Body], key: str, stack: ExitStack
    ) -> tuple[Body, Reservation]:
        """Read and validate the body of a request with this API key, and reserve room for it.

        The reservation is released when `stack` is closed.

        Raises:
            WrongContentType, BodyTooLarge, Overloaded, UnreadableBody, RequestError, ClientGone
        """
        _check_content_type(request)
        length = self._content_length(request)
        if length is None:
            with self._admission.admit(0, key):
                content = await self._read_body(request)
            reservation = stack.enter_context(self._admission.admit(len(content), key))
        else:
            reservation = stack.enter_context(self._admission.admit(length, key))
            content = await self._read_body(request)
        try:
            return schema.model_validate_json(content), reservation
        except ValidationError as error:
            # The chained traceback would contain what was sent.
            raise mistake_in(error, schema, content) from None

    def _content_length(self, request: Request) -> int | None:
        """Return the length of the body, or None if the headers do not state it."""
        said = request.headers.get("content-length")
        if said is None:
            return None
        if not (said.isascii() and said.isdecimal()):
            raise UnreadableBody(
                "not a number. Send the length of the body.", field="Content-Length"
            )
        if len(said) > 18 or int(said) > self._max_body_bytes:
            raise BodyTooLarge(self._max_body_bytes)
        return int(said)

    async def _read_body(self, request: Request) -> bytes:
        content = bytearray()
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in request.stream():
                    content += chunk
                    if len(content) > self._max_body_bytes:
                        raise BodyTooLarge(self._max_body_bytes)
        except ClientDisconnect:
            raise ClientGone from None
        except TimeoutError:
            raise UnreadableBody(
                f"it did not arrive within {BODY_S} seconds. Send it at once.", field="body"
            ) from None
        return bytes(content)


async def while_connected(request: Request, work: Awaitable[T], deadline: float | None) -> T:
    """Await `work`, and cancel it if the client disconnects or the deadline passes.

    The body must have been read, so that the next event can only be the end of the connection.

    Raises:
        ClientGone: the client disconnected.
        DeadlinePassed: `deadline`, by `time.monotonic`, has passed.
    """
    result = asyncio.ensure_future(work)
    end = asyncio.ensure_future(request.receive())
    try:
        left = None if deadline is None else max(deadline - time.monotonic(), 0)
        await asyncio.wait({result, end}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if result.done():
            return result.result()
        raise ClientGone if end.done() else DeadlinePassed
    finally:
        result.cancel()
        end.cancel()


def _check_content_type(request: Request) -> None:
    given = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if given != "application/json":
        raise WrongContentType('Content-Type: it must be "application/json". Send JSON so named.')
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise WrongContentType("Content-Encoding: a body must not be compressed. Send it plain.")
