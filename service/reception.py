"""Reception: what a request passes before it is worked on, each step before its body costs more.

The key, its rate, the type and size that the headers announce, room in the server, the arrival of
the body, and last what the body says.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from service.admission import Admission, Admitted
from service.errors import (
    BodyTooLarge,
    ClientGone,
    Forbidden,
    Unauthenticated,
    UnreadableBody,
    WrongContentType,
    mistake_in,
)

BODY_S = 30
"""Seconds in which a body must arrive: it holds a place in the queue."""

MEASURED_S = 1.0
"""Seconds of work after which the speed is measured."""

Body = TypeVar("Body", bound=BaseModel)


class KeyRing(Protocol):
    """Who may call."""

    def authenticate(self, authorization: str | None, /) -> str:
        """The name of the key in this header, "" where none is needed, or `Unauthenticated`."""

    def is_admin(self, name: str, /) -> bool:
        """Whether the key of this name may change what is served."""


class RateLimiter(Protocol):
    """How often a key may call."""

    def take(self, key: str, now: float, /) -> None:
        """Count a request of `key`, or raise `TooManyRequests`."""


class NoKeys:
    """Everybody may call, and nobody is an administrator."""

    def authenticate(self, authorization: str | None, /) -> str:
        """Nobody in particular."""
        return ""

    def is_admin(self, name: str, /) -> bool:
        """No."""
        return False


class NoRates:
    """Everybody may call as often as they like."""

    def take(self, key: str, now: float, /) -> None:
        """Nothing to count."""


class Reception:
    """Lets requests in, one order of checks for all routes. Of the event loop alone."""

    def __init__(
        self, keys: KeyRing, rates: RateLimiter, admission: Admission, max_body_bytes: int
    ) -> None:
        self._keys, self._rates, self._admission = keys, rates, admission
        self._max_body_bytes = max_body_bytes
        self._since = 0.0  # when the server was idle last, or measured its speed
        self._finished = 0  # source pieces since then

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
        if "authorization" not in request.headers:
            raise Unauthenticated("This needs the API key of an administrator. Send it.")
        if not self._keys.is_admin(self.key(request)):
            raise Forbidden("This needs the API key of an administrator. Use one.")

    async def body(
        self, request: Request, schema: type[Body], stack: ExitStack
    ) -> tuple[Body, Admitted]:
        """The body, and its room in the server, which is given back when `stack` is closed.

        Raises:
            WrongContentType, BodyTooLarge, Overloaded, UnreadableBody, RequestError, ClientGone
        """
        _check_content_type(request)
        length = self._announced(request)
        if length is None:
            with self._admission.enter(0):
                content = await self._arrival(request)
            admitted = stack.enter_context(self._room(len(content)))
        else:
            admitted = stack.enter_context(self._room(length))
            content = await self._arrival(request)
        try:
            return schema.model_validate_json(content), admitted
        except ValidationError as error:
            raise mistake_in(error) from None  # a traceback would hold what was sent

    @contextmanager
    def _room(self, bytes_: int) -> Iterator[Admitted]:
        """Room that is given back; what was finished in it measures the speed of the server."""
        if not self._admission.requests:
            self._since, self._finished = time.monotonic(), 0
        with self._admission.enter(bytes_) as admitted:
            yield admitted
            before = self._admission.pieces
        self._finished += before - self._admission.pieces
        if (seconds := time.monotonic() - self._since) >= MEASURED_S:
            self._admission.measured(self._finished, seconds)
            self._since, self._finished = time.monotonic(), 0

    def _announced(self, request: Request) -> int | None:
        """The length of the body, None if the headers do not say."""
        said = request.headers.get("content-length")
        if said is None:
            return None
        if not (said.isascii() and said.isdecimal()):
            raise UnreadableBody("Content-Length: not a number. Send the length of the body.")
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
                f"body: it did not arrive within {BODY_S} seconds. Send it at once."
            ) from None
        return bytes(content)


def _check_content_type(request: Request) -> None:
    given = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if given != "application/json":
        raise WrongContentType('Content-Type: it must be "application/json". Send JSON so named.')
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise WrongContentType("Content-Encoding: a body must not be compressed. Send it plain.")
