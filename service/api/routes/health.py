"""Health: probes for orchestrators and metrics for Prometheus, without API key or queue."""

import time
from collections.abc import Callable, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from service.api.responses import Alive, ErrorBody, ErrorDetail
from service.limits.admission import Admission
from service.observability.metrics import Metrics
from service.observability.request_record import record_of
from service.registry.model_registry import AnyWorker

STUCK, NOT_READY = "stuck", "not_ready"
"""Error types."""


def health_router(
    workers: Callable[[], Sequence[AnyWorker]],
    draining: Callable[[], bool],
    admission: Admission,
    metrics: Metrics,
) -> APIRouter:
    """Return the routes /livez, /readyz and /metrics.

    Args:
        workers: returns the workers of the models being served.
        draining: returns whether the server refuses new requests and finishes pending ones.
    """
    router = APIRouter(tags=["health"])

    @router.get(
        "/livez",
        summary="Whether the process answers and its engines make steps",
        response_model=Alive,
        responses={503: {"model": ErrorBody, "description": "An engine is stuck: restart."}},
    )
    async def livez(request: Request) -> Response | Alive:
        now = time.monotonic()
        stuck = [worker.name for worker in workers() if not worker.alive(now)]
        if not stuck:
            return Alive()
        message = f"No step was made for too long, although there is work, in: {', '.join(stuck)}."
        return _unavailable(request, STUCK, message)

    @router.get(
        "/readyz",
        summary="Whether requests should be sent here; a full queue is no reason against it",
        response_model=Alive,
        responses={503: {"model": ErrorBody, "description": "Send requests elsewhere."}},
    )
    async def readyz(request: Request) -> Response | Alive:
        if draining():
            return _unavailable(request, "shutting_down", "The server is shutting down.")
        served = workers()
        waited_for = [worker.name for worker in served if not worker.ready()]
        if served and not waited_for:
            return Alive()
        names = ", ".join(waited_for) or "none is loaded"
        return _unavailable(request, NOT_READY, f"These models cannot translate yet: {names}.")

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "docs/monitoring.md"}},
    )
    async def read_metrics(request: Request) -> Response:
        _measure_levels(workers(), admission, metrics)
        content, content_type = metrics.render(request.headers.get("accept", ""))
        return Response(content, headers={"Content-Type": content_type})

    return router


def _measure_levels(workers: Sequence[AnyWorker], admission: Admission, metrics: Metrics) -> None:
    """Set the gauges of queues and slots for the models that are served now."""
    metrics.queue_requests.set(admission.requests)
    metrics.queue_pieces.set(admission.pieces)
    for gauge in (
        metrics.model_info,
        metrics.ready,
        metrics.waiting_sentences,
        metrics.waiting_pieces,
        metrics.slots_in_use,
        metrics.slots,
    ):
        gauge.clear()  # remove models and checkpoints that are no longer served
    for worker in workers:
        stats = worker.stats()
        metrics.model_info.labels(worker.name, worker.digest).set(1)
        metrics.ready.labels(worker.name).set(worker.ready())
        metrics.waiting_sentences.labels(worker.name).set(stats.waiting)
        metrics.waiting_pieces.labels(worker.name).set(stats.waiting_pieces)
        metrics.slots_in_use.labels(worker.name).set(stats.in_use)
        metrics.slots.labels(worker.name).set(stats.slots)


def _unavailable(request: Request, kind: str, message: str) -> JSONResponse:
    record_of(request.scope).refused(503, kind)
    body = ErrorBody(error=ErrorDetail(type=kind, message=message))
    return JSONResponse(body.model_dump(), 503, headers={"Retry-After": "1"})
