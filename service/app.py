"""The HTTP application: routes that validate, submit and await, over one worker."""

import asyncio
import importlib.metadata
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.admission import Admission
from service.catalogue import Catalogue
from service.errors import BodyTooLarge, ClientGone, add_error_handlers
from service.schemas import Alive, ErrorBody, TranslateRequest, TranslateResponse
from service.settings import Settings
from service.terms import Terms

T = TypeVar("T")

RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def create_app(catalogue: Catalogue, settings: Settings) -> FastAPI:
    """The application. It starts and stops the workers of `catalogue` with its lifespan."""
    admission = Admission(settings.max_requests, settings.max_queued_pieces)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await catalogue.start()
        yield
        await catalogue.stop(0)

    app = FastAPI(
        title="Dragoman",
        version=importlib.metadata.version("dragoman"),
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # their scripts come from the network of somebody else
        redoc_url=None,
    )
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    add_error_handlers(app)

    @app.get("/livez", summary="Whether the process runs and answers")
    async def livez() -> Alive:
        return Alive()

    @app.post(
        "/v1/translate",
        summary="Translate one text or several",
        responses={
            400: {"model": ErrorBody, "description": "The body cannot be read."},
            413: {
                "model": ErrorBody,
                "description": f"The body has more than {settings.max_body_bytes} bytes.",
            },
            422: {"model": ErrorBody, "description": "The body is not what the schema says."},
            429: {
                "model": ErrorBody,
                "description": f"{settings.max_requests} requests wait for their answers.",
                "headers": RETRY_AFTER,
            },
            500: {"model": ErrorBody, "description": "The server failed."},
            503: {
                "model": ErrorBody,
                "description": "The server is shutting down.",
                "headers": RETRY_AFTER,
            },
        },
    )
    async def translate(body: TranslateRequest, request: Request) -> TranslateResponse:
        with catalogue.use("translate", body.model, body.source, body.target) as worker:
            size = sum(len(text.encode()) for text in body.texts)
            with admission.enter(size) as admitted:
                options = body.options.over(worker.options)
                work = worker.translate(body.texts, options, Terms(), admitted)
                translations = await while_connected(request, work)
        return TranslateResponse.of(translations, worker.digest)

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> JSONResponse:
        return JSONResponse({}, 503 if catalogue.draining else 200)

    return app


class BodyLimit:
    """ASGI middleware: whoever reads a body of more than `limit` bytes gets `BodyTooLarge`.

    Before the first byte, if the client says how many there will be.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        # A server has checked that the header is a number.
        announced = int(Headers(scope=scope).get("content-length", 0))
        received = 0

        async def limited() -> Message:
            nonlocal received
            if announced > self._limit:
                raise BodyTooLarge(self._limit)
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise BodyTooLarge(self._limit)
            return message

        await self._app(scope, limited, send)


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled as soon as the client leaves.

    The body must have been read: what comes after it can only be the end of the connection.

    Raises:
        ClientGone: the client left.
    """
    result = asyncio.ensure_future(work)
    end = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({result, end}, return_when=asyncio.FIRST_COMPLETED)
        if result.done():
            return result.result()
        raise ClientGone
    finally:
        result.cancel()
        end.cancel()
