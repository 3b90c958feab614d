"""POST /v1/score."""

import time
from contextlib import ExitStack

from fastapi import APIRouter, Request, Response

from service.api.intake import Intake, while_connected
from service.api.openapi import WORK, reads, responses
from service.api.request_bodies import ScoreRequest
from service.api.responses import ScoreResponse, json_response, pair_answers
from service.engine.request_params import RequestParams
from service.observability.request_record import record_of
from service.registry.model_registry import ModelRegistry


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
            body, reservation = await intake.body(request, ScoreRequest, client, stack)
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
        answer: ScoreResponse = {
            "scores": pair_answers(found),
            "model": worker.name,
            "digest": worker.digest,
        }
        return json_response(answer)

    return router
