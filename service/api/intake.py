"""Intake: what a request passes before it is worked on, each step before its body costs more.

The key, its rate, the type and size that the headers announce, room in the server, the arrival of
the body, and last what the body says. From then on only the end of the connection can come.
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
from service.limits.admission import Admission, Admitted
from service.limits.api_keys import APIKeys
from service.limits.rate_limit import RateLimiter

BODY_S = 30
"""Seconds in which a body must arrive: it holds a place in the queue."""

Body = TypeVar("Body", bound=BaseModel)
T = TypeVar("T")


class Intake:
    """Lets requests in, one order of checks for all routes. Of the event loop alone."""

    def __init__(
        self, keys: APIKeys, rates: RateLimiter, admission: Admission, max_body_bytes: int
    ) -> None:
        self._keys, self._rates, self._admission = keys, rates, admission
        self._max_body_bytes = max_body_bytes

    def key(self, request: Request) -> str:
        """The name of the API key, counted against its rate.

        Raises:
            Unauthenticated, TooManyRequests
        """
        key = self._keys.authenticate(request.headers.get("authorization"))
        self._rates.take(key, time.monotonic())
        return key

    def administrator(self, request: Request) -> None:
        """Make sure that the request comes from one.

        Raises:
            Unauthenticated, Forbidden, TooManyRequests
        """
        header = request.headers.get("authorization")
        self._rates.take(self._keys.admin(header), time.monotonic())

    async def body(
        self, request: Request, schema: type[Body], key: str, stack: ExitStack
    ) -> tuple[Body, Admitted]:
        """The body of a request with this API key, and its room in the server.

        It is given back when `stack` is closed.

        Raises:
            WrongContentType, BodyTooLarge, Overloaded, UnreadableBody, RequestError, ClientGone
        """
        _check_content_type(request)
        length = self._announced(request)
        if length is None:
            with self._admission.enter(0, key):
                content = await self._arrival(request)
            admitted = stack.enter_context(self._admission.enter(len(content), key))
        else:
            admitted = stack.enter_context(self._admission.enter(length, key))
            content = await self._arrival(request)
        try:
            return schema.model_validate_json(content), admitted
        except ValidationError as error:
            # A traceback would hold what was sent.
            raise mistake_in(error, schema, content) from None

    def _announced(self, request: Request) -> int | None:
        """The length of the body, None if the headers do not say."""
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

    async def _arrival(self, request: Request) -> bytes:
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
    """The result of `work`, which is cancelled as soon as the client leaves or it is too late.

    The body must have been read: what comes after it can only be the end of the connection.

    Raises:
        ClientGone: the client left.
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
