"""POST /v1/translate and POST /v1/summarize, from the arrival of a request to its answer."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from model.errors import DragomanError, RequestError
from model.translation.assemble import Translation
from service.api.error_responses import kind_of
from service.api.intake import Intake, while_connected
from service.api.openapi import WORK, reads, responses
from service.api.request_bodies import GenerateRequest, SummarizeRequest, TranslateRequest
from service.api.responses import (
    RoomHoldingResponse,
    SummarizeResponse,
    TranslateResponse,
    expected_bytes,
    text_answers,
)
from service.api.sse import EventStream, StreamEvent, error_event
from service.engine.request_params import RequestParams
from service.engine.worker import Worker
from service.errors import EngineFailed
from service.observability.request_record import RequestRecord, record_of
from service.registry.model_registry import ModelRegistry

MAX_ATTENTION = 16
"""The most translations whose attention one request may ask for."""
LARGE_ANSWER = 65_536
"""Bytes of an answer that take too long to make on the event loop."""


@dataclass(frozen=True, slots=True)
class Task:
    """The differences between the two tasks."""

    name: Literal["translate", "summarize"]
    text_key: str
    """JSON key of the text of a result."""
    list_key: str
    """JSON key of the list of results."""


TRANSLATE = Task("translate", "translation", "translations")
SUMMARIZE = Task("summarize", "summary", "summaries")


def texts_router(registry: ModelRegistry, intake: Intake) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.post(
        "/v1/translate",
        summary="Translate one text or several",
        openapi_extra=reads(TranslateRequest),
        responses=responses(TranslateResponse, WORK, streamed=True),
    )
    async def translate(request: Request) -> Response:
        return await respond(request, TranslateRequest, TRANSLATE, registry, intake)

    @router.post(
        "/v1/summarize",
        summary="Summarize one text or several",
        openapi_extra=reads(SummarizeRequest),
        responses=responses(SummarizeResponse, WORK, streamed=True),
    )
    async def summarize(request: Request) -> Response:
        return await respond(request, SummarizeRequest, SUMMARIZE, registry, intake)

    return router


async def respond(
    request: Request,
    schema: type[GenerateRequest],
    task: Task,
    registry: ModelRegistry,
    intake: Intake,
) -> Response:
    """Answer a request for either task, as one JSON body or as a stream."""
    arrived = time.monotonic()
    (key, client), record = intake.client(request), record_of(request.scope)
    with ExitStack() as stack:
        room = stack.enter_context(ExitStack())
        body, reservation = await intake.body(request, schema, client, room)
        chosen = registry.use(task.name, body.model, body.source, body.target)
        worker = stack.enter_context(chosen)
        record.set_work(key, worker.name, body.texts)
        params = RequestParams(
            options=body.search_options(worker.options),
            reservation=reservation,
            client=client.id,
            priority=body.priority,
            deadline=body.deadline(arrived),
            details=body.return_,
        )
        check_attention(params, len(body.texts))
        expected = expected_bytes(body.texts, params)
        reservation.expect(expected)
        # Attention is a tensor, and torch must not run on the event loop.
        in_thread = expected > LARGE_ANSWER or "attention" in params.details
        work = TextRequest(task, worker, body.texts, params, record, in_thread=in_thread)
        if not body.stream:
            answer = await while_connected(request, work.answer(), params.deadline)
            reservation.weigh(len(answer))
            return RoomHoldingResponse(answer, room.pop_all())
        events = work.events()
        first = await while_connected(request, anext(events), params.deadline)
        rest = errors_as_events(events, record)
        return EventStream(first, rest, params.deadline, stack.pop_all())


def check_attention(params: RequestParams, texts: int) -> None:
    """Check that attention, if asked for, does not make the answer too large.

    Raises:
        RequestError: attention is asked for, with too many translations.
    """
    count = params.options.n_best * texts
    if "attention" in params.details and count > MAX_ATTENTION:
        raise RequestError(
            f"attention of {count} translations, but at most {MAX_ATTENTION} may have it. Ask for "
            f"fewer texts or a lower n_best.",
            field="return",
        )


class TextRequest:
    """One request for texts, and the worker that serves it."""

    def __init__(
        self,
        task: Task,
        worker: Worker,
        texts: Sequence[str],
        params: RequestParams,
        record: RequestRecord,
        *,
        in_thread: bool,
    ) -> None:
        """`in_thread`: whether to make the answer in a thread, as it would block the event loop."""
        self._in_thread = in_thread
        self._task, self._worker, self._texts = task, worker, texts
        self._params, self._record = params, record

    async def answer(self) -> bytes:
        """Return the body of the answer."""
        return await self._body(await self._worker.translate(self._texts, self._params))

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """Yield the events of a streamed answer, to a request for one text."""
        (text,) = self._texts
        stream = self._worker.stream(text, self._params)
        try:
            async for item in stream:
                if isinstance(item, Translation):
                    yield "done", await self._body([item])
                else:
                    self._record.partial()
                    yield "partial", to_json({"text": item})
        finally:  # close it at once, not when it is garbage collected
            await stream.aclose()

    async def _body(self, found: list[Translation]) -> bytes:
        pieces = sum(len(each.pieces) for one in found for each in one.hypotheses)
        if self._in_thread or pieces > LARGE_ANSWER // 32:
            return await asyncio.to_thread(self._json, found)
        return self._json(found)

    def _json(self, found: list[Translation]) -> bytes:
        """Write the answer as JSON, and what it has into the record."""
        task, params, record = self._task, self._params, self._record
        answers = text_answers(found, task.text_key, params.details, params.options.n_best)
        record.answers = [str(answer[task.text_key]) for answer in answers]
        best = [translation.hypotheses[0] for translation in found]
        record.source_pieces = sum(len(translation.source_pieces) for translation in found)
        record.target_pieces = sum(len(hypothesis.pieces) for hypothesis in best)
        # One by one: the interpreter's lock is held for as long as a call takes.
        told = b",".join(map(to_json, answers))
        rest = to_json({"model": self._worker.name, "digest": self._worker.digest})
        return b'{"%b":[%b],%b' % (task.list_key.encode(), told, rest[1:])


async def errors_as_events(
    events: AsyncGenerator[StreamEvent, None], record: RequestRecord
) -> AsyncGenerator[StreamEvent, None]:
    """Yield the events, and an error as an event too, since the status has already been sent."""
    try:
        async for event in events:
            yield event
    except (DragomanError, EngineFailed) as error:
        kind = kind_of(error)
        record.refused(kind.status, kind.type)
        yield error_event(error)
    finally:
        await events.aclose()
