"""The HTTP application: routes that validate, submit and await, over the models being served."""

import asyncio
import importlib.metadata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from service.admission import Admission
from service.catalogue import Catalogue
from service.errors import REQUEST_ID, add_error_handlers
from service.openapi import describe
from service.reception import KeyRing, NoKeys, NoRates, RateLimiter, Reception
from service.request_ids import RequestIds
from service.routes.models import models_router
from service.routes.score import score_router
from service.routes.summarize import summarize_router
from service.routes.translate import translate_router
from service.settings import Settings


def create_app(
    catalogue: Catalogue,
    settings: Settings,
    *,
    keys: KeyRing | None = None,
    rates: RateLimiter | None = None,
) -> FastAPI:
    """The application. It starts and stops `catalogue` with its lifespan.

    Args:
        keys: None: everybody may call.
        rates: None: as often as they like.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(catalogue.start)
        yield
        await asyncio.to_thread(catalogue.stop, settings.drain_s)

    app = FastAPI(
        title="Dragoman",
        version=importlib.metadata.version("dragoman"),
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # their scripts come from the network of somebody else
        redoc_url=None,
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", REQUEST_ID],
            expose_headers=["Retry-After", REQUEST_ID],
        )
    app.add_middleware(RequestIds)  # added last, it is the outermost
    add_error_handlers(app)
    admission = Admission(settings.max_requests, settings.max_pieces)
    reception = Reception(keys or NoKeys(), rates or NoRates(), admission, settings.max_body_bytes)
    app.state.admission, app.state.catalogue = admission, catalogue

    @app.get("/livez", summary="Whether the process runs and answers")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    for router in (translate_router, summarize_router, score_router, models_router):
        app.include_router(router(catalogue, reception))
    describe(app, settings.max_body_bytes, keys_needed=keys is not None)
    return app
