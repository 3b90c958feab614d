"""Intake: checks a request before any work is done for it, the cheapest checks first.

In order: API key, rate limit, content type, content length, reading the body, admission, and
validating the body. After that, the only event that can arrive on the connection is its end.
"""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import ExitStack
from typing import TypeVar

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from service.api.error_responses import mistake_in
from service.api.json_values import SLICE, check_values
from service.api.request_bodies import WorkRequest
from service.errors import (
    BodyTooLarge,
    BodyTooSlow,
    ClientGone,
    DeadlinePassed,
    UnreadableBody,
    WrongContentType,
)
from service.limits.admission import Admission, Reservation
from service.limits.api_keys import APIKeys
from service.limits.clients import Client, client_of
from service.limits.rate_limit import RateLimiter

GRACE_S = 10.0
"""Seconds that a body may take, in addition to its size divided by `MIN_BYTES_PER_S`."""
MIN_BYTES_PER_S = 65_536
"""Speed at which a body must arrive, on average, after `GRACE_S`."""

Body = TypeVar("Body", bound=WorkRequest)
T = TypeVar("T")


class Intake:
    """Checks requests, in the same order on all routes. Used only on the event loop."""

    def __init__(
        self,
        keys: APIKeys,
        rates: RateLimiter | None,
        admission: Admission,
        max_body_bytes: int,
    ) -> None:
        """`rates` is None if requests may come at any rate."""
        self._keys, self._rates, self._admission = keys, rates, admission
        self._max_body_bytes = max_body_bytes

    def client(self, request: Request) -> tuple[str, Client]:
        """Authenticate the request and count it against the rate limit.

        Returns:
            The name of its API key, empty if it has none, and the client it is counted for.

        Raises:
            Unauthenticated, TooManyRequests
        """
        key = self._keys.authenticate(request.headers.get("authorization"))
        client = client_of(key, request.client.host if request.client else "")
        if self._rates is not None:
            self._rates.take(client.id, time.monotonic())
        return key, client

    def check_admin(self, request: Request) -> None:
        """Check that the request has an admin key, and count it against the rate limit.

        Raises:
            Unauthenticated, Forbidden, TooManyRequests
        """
        key = self._keys.authenticate_admin(request.headers.get("authorization"))
        if self._rates is not None:
            self._rates.take(key, time.monotonic())

    async def body(
        self, request: Request, schema: type[Body], client: Client, stack: ExitStack
    ) -> tuple[Body, Reservation]:
        """Read and validate the body of a request of this client, and reserve room for it.

        The reservation is released when `stack` is closed.

        Raises:
            WrongContentType, BodyTooLarge, BodyTooSlow, Overloaded, UnreadableBody, RequestError,
            ClientGone
        """
        _check_content_type(request)
        reservation = stack.enter_context(self._admission.reservation(client))
        content = await _read_body(request, reservation, self._max_body_bytes)
        reservation.accept(len(content))
        if len(content) > SLICE:
            await check_values(content, schema.max_values)
        try:
            return schema.model_validate_json(content), reservation
        except ValidationError as error:
            # The chained traceback would contain what was sent.
            raise mistake_in(error, schema, content) from None


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


async def _read_body(request: Request, reservation: Reservation, max_bytes: int) -> bytes:
    """Return the body, whose bytes are reserved as they arrive.

    Raises:
        UnreadableBody: the length that the headers state is not a number.
        BodyTooLarge: it has more than `max_bytes`, or says so.
        Overloaded: there is no room for it.
        BodyTooSlow: it arrives too slowly.
        ClientGone: the client left.
    """
    length = _content_length(request, max_bytes)
    if length is not None:
        reservation.announce(length)
    content = bytearray()
    begin = asyncio.get_running_loop().time() + GRACE_S
    try:
        async with asyncio.timeout_at(begin) as limit:
            async for chunk in request.stream():
                content += chunk
                if len(content) > max_bytes:
                    raise BodyTooLarge(max_bytes)
                reservation.receive(len(content))
                limit.reschedule(begin + len(content) / MIN_BYTES_PER_S)
    except ClientDisconnect:
        raise ClientGone from None
    except TimeoutError:
        raise BodyTooSlow(GRACE_S, MIN_BYTES_PER_S) from None
    return bytes(content)


def _content_length(request: Request, max_bytes: int) -> int | None:
    """Return the length of the body, or None if the headers do not state it."""
    stated = request.headers.get("content-length")
    if stated is None:
        return None
    if not (stated.isascii() and stated.isdecimal()):
        raise UnreadableBody("not a number. Send the length of the body.", field="Content-Length")
    if len(stated) > 18 or int(stated) > max_bytes:
        raise BodyTooLarge(max_bytes)
    return int(stated)
