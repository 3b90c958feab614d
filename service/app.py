"""The HTTP application: routes that validate, submit and await, over the models being served."""

import asyncio
import importlib.metadata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from service.admission import Admission
from service.catalogue import Catalogue
from service.direct import Direct
from service.errors import add_error_handlers
from service.keys import Keys
from service.measuring import REQUEST_ID, Measuring
from service.metrics import Metrics
from service.openapi import describe
from service.rates import Rates
from service.reception import Reception
from service.routes.health import health_router
from service.routes.models import models_router
from service.routes.page import page_router
from service.routes.score import score_router
from service.routes.summarize import summarize_router
from service.routes.translate import translate_router
from service.settings import Settings
from service.tracing import tracing_of
from service.worker import Worker

BUSY = (translate_router, summarize_router, score_router)
"""The routes that give work to a model."""


def create_app(catalogue: Catalogue, settings: Settings) -> FastAPI:
    """The application. It starts and stops `catalogue` with its lifespan.

    Raises:
        ConfigError: the API keys cannot be read.
    """
    keys = Keys.from_settings(settings)
    rates = Rates(settings.rate_per_s, settings.rate_burst)
    admission = Admission(settings.max_requests, settings.max_queued_pieces)
    reception = Reception(keys, rates, admission, settings.max_body_bytes)
    tracing = tracing_of(settings.otel_endpoint)

    def workers() -> list[Worker]:
        return [served.worker for served in catalogue.served]

    metrics = Metrics(workers, admission)
    catalogue.watch(metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await catalogue.start()
        yield
        await catalogue.stop(settings.drain_s)
        if tracing is not None:
            await asyncio.to_thread(tracing.close)

    app = FastAPI(
        title="Dragoman",
        version=importlib.metadata.version("dragoman"),
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # their scripts come from the network of somebody else
        redoc_url=None,
    )
    busy = [router(catalogue, reception) for router in BUSY]
    app.add_middleware(Direct, routers=busy)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", REQUEST_ID],
            expose_headers=["Retry-After", REQUEST_ID],
        )
    # Added last, it is the outermost.
    app.add_middleware(Measuring, metrics=metrics, tracing=tracing, log_texts=settings.log_texts)
    add_error_handlers(app)
    app.include_router(health_router(workers, lambda: catalogue.draining, metrics))
    for router in (*busy, models_router(catalogue, reception)):
        app.include_router(router)
    app.include_router(page_router())
    describe(app, settings.max_body_bytes, keys_needed=keys.needed)
    app.state.admission = admission  # for whoever runs the application inside another
    return app
