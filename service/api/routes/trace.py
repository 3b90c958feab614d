"""POST /v1/trace."""

import asyncio
import time
from contextlib import ExitStack

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from model.translation.text_trace import TextTrace
from service.api.intake import Intake, while_connected
from service.api.openapi import WORK, reads, responses
from service.api.request_bodies import TraceRequest
from service.api.responses import RoomHoldingResponse, TraceResponse
from service.engine.request_params import RequestParams
from service.engine.worker import Worker
from service.observability.request_record import RequestRecord, record_of
from service.registry.model_registry import ModelRegistry

UNITS = 32
"""Units of each layer that an answer tells: all of them would be megabytes."""
BYTES_PER_LETTER, MOST_BYTES = 4_000, 1_000_000
"""Rough size of an answer, for each letter of its text and at most: a step of six layers in eight
values takes 10 kB."""


def trace_router(registry: ModelRegistry, intake: Intake) -> APIRouter:
    """Return the route."""
    router = APIRouter()

    @router.post(
        "/v1/trace",
        summary="What happens inside while a sentence is translated",
        openapi_extra=reads(TraceRequest),
        responses=responses(TraceResponse, WORK),
    )
    async def trace(request: Request) -> Response:
        arrived = time.monotonic()
        (key, client), record = intake.client(request), record_of(request.scope)
        with ExitStack() as stack:
            room = stack.enter_context(ExitStack())
            body, reservation = await intake.body(request, TraceRequest, client, room)
            worker = stack.enter_context(registry.use(body.task, body.model))
            record.set_work(key, worker.name, [body.text])
            params = RequestParams(
                options=body.options.merged_into(worker.options),
                reservation=reservation,
                client=client.id,
                priority=body.priority,
                deadline=body.deadline(arrived),
                details=(),
            )
            reservation.expect(min(BYTES_PER_LETTER * len(body.text), MOST_BYTES))
            work = _answer(body.text, params, worker, record)
            answer = await while_connected(request, work, params.deadline)
            reservation.weigh(len(answer))
            return RoomHoldingResponse(answer, room.pop_all())

    return router


async def _answer(text: str, params: RequestParams, worker: Worker, record: RequestRecord) -> bytes:
    found = await worker.trace(text, params)
    record.answers = [found.translation]
    record.source_pieces = len(found.source_pieces) - 1  # EOS
    record.target_pieces = len(found.target_pieces) - 1
    return await asyncio.to_thread(_json, found, worker)


def _json(found: TextTrace, worker: Worker) -> bytes:
    return to_json({**found.to_json(UNITS), "model": worker.name, "digest": worker.digest})
