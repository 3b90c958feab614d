"""POST /v1/score."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from service.api.intake import Intake, while_connected
from service.api.openapi import WORK, reads, responses
from service.api.request_bodies import ScoreRequest
from service.api.responses import RoomHoldingResponse, ScoreResponse, pair_answers
from service.engine.request_params import RequestParams
from service.engine.scorer import Scored
from service.engine.worker import Worker
from service.observability.request_record import record_of
from service.registry.model_registry import ModelRegistry

FEW_PAIRS = 16
"""Pairs whose scores are written as JSON on the event loop."""


def score_router(registry: ModelRegistry, intake: Intake) -> APIRouter:
    """Return the route."""
    router = APIRouter()

    @router.post(
        "/v1/score",
        summary="How probable given targets are",
        openapi_extra=reads(ScoreRequest),
        responses=responses(ScoreResponse, WORK),
    )
    async def score(request: Request) -> Response:
        arrived = time.monotonic()
        (key, client), record = intake.client(request), record_of(request.scope)
        with ExitStack() as stack:
            room = stack.enter_context(ExitStack())
            body, reservation = await intake.body(request, ScoreRequest, client, room)
            worker = stack.enter_context(registry.use(body.task, body.model))
            record.set_work(key, worker.name, [*body.sources, *body.targets])
            params = RequestParams(
                options=worker.options,
                reservation=reservation,
                client=client.id,
                priority=body.priority,
                deadline=body.deadline(arrived),
            )
            work = worker.score(body.sources, body.targets, params)
            found = await while_connected(request, work, params.deadline)
            if len(found) > FEW_PAIRS:
                answer = await asyncio.to_thread(_json, found, worker)
            else:
                answer = _json(found, worker)
            reservation.weigh(len(answer))
            return RoomHoldingResponse(answer, room.pop_all())

    return router


def _json(found: Sequence[Scored], worker: Worker) -> bytes:
    answer: ScoreResponse = {
        "scores": pair_answers(found),
        "model": worker.name,
        "digest": worker.digest,
    }
    return to_json(answer)
