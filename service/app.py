"""The HTTP application: assembles the routes, the middleware and the model registry."""

import asyncio
import importlib.metadata
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from service.api.error_responses import add_error_handlers
from service.api.fast_path import FastPath
from service.api.host_check import HostCheck
from service.api.intake import Intake
from service.api.middleware import REQUEST_ID, RequestMiddleware
from service.api.openapi import describe
from service.api.routes.health import health_router
from service.api.routes.models import models_router
from service.api.routes.page import page_router
from service.api.routes.score import score_router
from service.api.routes.texts import texts_router
from service.api.routes.trace import trace_router
from service.api.routes.transduce import transduce_router
from service.limits.admission import Admission
from service.limits.api_keys import APIKeys
from service.limits.rate_limit import RateLimiter
from service.observability.tracing import tracing_of
from service.registry.model_registry import AnyWorker, ModelRegistry
from service.settings import Settings

WORK_ROUTERS = (texts_router, score_router, trace_router, transduce_router)
"""The routes that give work to a model."""


def create_app(
    registry: ModelRegistry, settings: Settings, hosts: Collection[str] | None = None
) -> FastAPI:
    """Create the application, whose lifespan starts and stops `registry`.

    Args:
        hosts: names by which requests may call the server beside those of the loopback interface,
            see `service.api.host_check`; None: any.

    Raises:
        ConfigError: the API keys cannot be read.
    """
    keys = APIKeys.from_settings(settings)
    rates = None
    if settings.rate_per_s is not None:
        rates = RateLimiter(settings.rate_per_s, settings.rate_burst)
    admission = Admission(settings.max_requests, settings.max_queued_pieces)
    intake = Intake(keys, rates, admission, settings.max_body_bytes)
    tracing = tracing_of(settings.otel_endpoint)

    def workers() -> list[AnyWorker]:
        return [served.worker for served in registry.served]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await registry.start()
        yield
        await registry.stop(settings.drain_s)
        if tracing is not None:
            await asyncio.to_thread(tracing.close)

    app = FastAPI(
        title="Dragoman",
        version=importlib.metadata.version("dragoman"),
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # these pages load scripts from a third party
        redoc_url=None,
    )
    work_routers = [router(registry, intake) for router in WORK_ROUTERS]
    app.add_middleware(FastPath, routers=work_routers)
    if settings.cors_origins:
        _allow_origins(app, settings.cors_origins)
    if hosts is not None:
        app.add_middleware(HostCheck, names=hosts)
    # Added last, so it is the outermost.
    app.add_middleware(
        RequestMiddleware, metrics=registry.metrics, tracing=tracing, log_texts=settings.log_texts
    )
    add_error_handlers(app)
    app.include_router(
        health_router(workers, lambda: registry.draining, admission, registry.metrics)
    )
    for router in (*work_routers, models_router(registry, intake)):
        app.include_router(router)
    app.include_router(page_router())
    describe(app, settings.max_body_bytes, keys_needed=keys.needed)
    app.state.admission = admission  # for programs that embed the application
    return app


def _allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins call the application from a browser."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", REQUEST_ID],
        expose_headers=["Retry-After", REQUEST_ID],
    )
