"""POST /v1/score."""

import time
from contextlib import ExitStack

from fastapi import APIRouter, Request, Response

from service.answers import ScoreResponse, pair_answers
from service.catalogue import Catalogue
from service.events import while_connected
from service.openapi import WORK, reads, responses
from service.reception import Reception
from service.record import record_of
from service.routes.work import json_response, terms_of
from service.schemas import ScoreRequest


def score_router(catalogue: Catalogue, reception: Reception) -> APIRouter:
    """The route."""
    router = APIRouter()

    @router.post(
        "/v1/score",
        summary="How probable given targets are",
        openapi_extra=reads(ScoreRequest),
        responses=responses(ScoreResponse, WORK),
    )
    async def score(request: Request) -> Response:
        arrived = time.monotonic()
        key, record = reception.key(request), record_of(request.scope)
        with ExitStack() as stack:
            body, admitted = await reception.body(request, ScoreRequest, key, stack)
            worker = stack.enter_context(catalogue.use(body.task, body.model))
            record.told(key, worker.name, [*body.sources, *body.targets])
            terms = terms_of(body, key, arrived)
            work = worker.score(body.sources, body.targets, terms, admitted)
            found = await while_connected(request, work, terms.deadline)
        told: ScoreResponse = {
            "scores": pair_answers(found),
            "model": worker.name,
            "digest": worker.digest,
        }
        return json_response(told)

    return router
