"""POST /v1/transduce."""

import asyncio
import time
from contextlib import ExitStack

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from model.errors import RequestError
from model.translation.assemble import Translation
from service.api.intake import Intake, while_connected
from service.api.openapi import WORK, reads, responses
from service.api.request_bodies import TransduceRequest
from service.api.responses import (
    RoomHoldingResponse,
    TransduceResponse,
    text_answers,
)
from service.api.routes.texts import check_attention
from service.engine.request_params import RequestParams
from service.engine.sequence_worker import SequenceWorker
from service.engine.sequences import Answer
from service.observability.request_record import RequestRecord, record_of
from service.registry.model_registry import ModelRegistry


def transduce_router(registry: ModelRegistry, intake: Intake) -> APIRouter:
    """Return the route."""
    router = APIRouter()

    @router.post(
        "/v1/transduce",
        summary="Transduce sequences of symbols or vectors",
        openapi_extra=reads(TransduceRequest),
        responses=responses(TransduceResponse, WORK),
    )
    async def transduce(request: Request) -> Response:
        arrived = time.monotonic()
        (key, client), record = intake.client(request), record_of(request.scope)
        with ExitStack() as stack:
            room = stack.enter_context(ExitStack())
            body, reservation = await intake.body(request, TransduceRequest, client, room)
            worker = stack.enter_context(registry.use_sequences(body.model))
            record.set_work(key, worker.name, _texts(body))
            _check_kind(body, worker)
            params = RequestParams(
                options=body.options.merged_into(worker.options),
                reservation=reservation,
                client=client.id,
                priority=body.priority,
                deadline=body.deadline(arrived),
                details=body.return_,
            )
            check_attention(params, len(body.sequences))
            reservation.expect(worker.answer_bytes(list(map(len, body.sequences)), params))
            work = _answer(body, params, worker, record)
            answer = await while_connected(request, work, params.deadline)
            reservation.weigh(len(answer))
            return RoomHoldingResponse(answer, room.pop_all())

    return router


def _texts(body: TransduceRequest) -> list[str]:
    """What was sent, for the log: vectors only by their number."""
    return [
        sequence if isinstance(sequence, str) else f"{len(sequence)} vectors"
        for sequence in body.sequences
    ]


def _check_kind(body: TransduceRequest, worker: SequenceWorker) -> None:
    """Check that the model reads what was sent, and writes what was asked for.

    Raises:
        RequestError: it reads the other kind; or it writes vectors, and there are options.
    """
    if body.given != worker.field:
        reads = worker.field
        raise RequestError(f"this model reads {reads}. Give {reads}.", field=body.given)
    if worker.profile.target_kind == "vectors":
        for name, there in (("options", body.options.model_fields_set), ("return", body.return_)):
            if there:
                raise RequestError(
                    f"this model writes vectors, without a search. Leave {name} out.", field=name
                )


async def _answer(
    body: TransduceRequest, params: RequestParams, worker: SequenceWorker, record: RequestRecord
) -> bytes:
    found = await worker.transduce(body.sequences, body.size, params)
    return await asyncio.to_thread(_json, found, params, worker, record)


def _json(
    found: list[Answer], params: RequestParams, worker: SequenceWorker, record: RequestRecord
) -> bytes:
    """Write the answer as JSON, and what it has into the record."""
    results: list[dict[str, object]] = []
    for each in found:
        if isinstance(each, Translation):
            word, best = worker.answer_name, params.options.n_best
            results += text_answers([each], word, params.details, best)
            record.source_pieces += len(each.source_pieces)
            record.target_pieces += len(each.hypotheses[0].pieces)
        else:
            results.append({"vectors": each.tolist()})
            record.target_pieces += len(each)
    record.answers = [each.text if isinstance(each, Translation) else "vectors" for each in found]
    return to_json({"results": results, "model": worker.name, "digest": worker.digest})
