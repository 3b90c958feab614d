"""POST /v1/translate and POST /v1/summarize, from the arrival of a request to its answer."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request, Response

from model.errors import DragomanError, RequestError
from model.translation.assemble import Translation
from service.api.error_responses import kind_of
from service.api.intake import Intake, while_connected
from service.api.openapi import WORK, reads, responses
from service.api.request_bodies import GenerateRequest, SummarizeRequest, TranslateRequest
from service.api.responses import (
    SummarizeResponse,
    TranslateResponse,
    json_response,
    text_answers,
)
from service.api.sse import EventStream, StreamEvent, error_event
from service.engine.request_params import RequestParams
from service.engine.worker import Worker
from service.errors import EngineFailed
from service.observability.request_record import RequestRecord, record_of
from service.registry.model_registry import ModelRegistry

MAX_ATTENTION = 64
"""The most translations whose attention one request may ask for."""


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
    key, record = intake.key(request), record_of(request.scope)
    with ExitStack() as stack:
        body, reservation = await intake.body(request, schema, key, stack)
        chosen = registry.use(task.name, body.model, body.source, body.target)
        worker = stack.enter_context(chosen)
        record.set_work(key, worker.name, body.texts)
        params = RequestParams(
            options=body.search_options(worker.options),
            reservation=reservation,
            key=key,
            priority=body.priority,
            deadline=body.deadline(arrived),
            details=body.return_,
        )
        check_attention(params, len(body.texts))
        work = TextRequest(task, worker, body.texts, params, record)
        if not body.stream:
            answer = await while_connected(request, work.answer(), params.deadline)
            if "attention" in params.details:  # serializing it here would block the event loop
                return await asyncio.to_thread(json_response, answer)
            return json_response(answer)
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
    ) -> None:
        self._task, self._worker, self._texts = task, worker, texts
        self._params, self._record = params, record

    async def answer(self) -> dict[str, object]:
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
                    yield "partial", {"text": item}
        finally:  # close it at once, not when it is garbage collected
            await stream.aclose()

    async def _body(self, found: list[Translation]) -> dict[str, object]:
        task, params = self._task, self._params
        arguments = (found, task.text_key, params.details, params.options.n_best)
        if "attention" in params.details:  # a tensor, and torch must not run on the event loop
            answers = await asyncio.to_thread(text_answers, *arguments)
        else:
            answers = text_answers(*arguments)
        record = self._record
        record.answers = [str(answer[task.text_key]) for answer in answers]
        best = [translation.hypotheses[0] for translation in found]
        record.source_pieces = sum(len(translation.source_pieces) for translation in found)
        record.target_pieces = sum(len(hypothesis.pieces) for hypothesis in best)
        return {task.list_key: answers, "model": self._worker.name, "digest": self._worker.digest}


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
