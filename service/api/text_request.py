"""Text request: how a request for texts goes from arrival to answer, whatever the task."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from model.decoding.options import SearchOptions
from model.errors import DragomanError, RequestError
from model.translation.assemble import Translation
from service.api.error_responses import kind_of
from service.api.intake import Intake
from service.api.request_options import options_of, without_echo
from service.api.requests import GenerateRequest, WorkRequest
from service.api.responses import text_answers
from service.api.sse import EventStream, StreamEvent, error_event, while_connected
from service.engine.request_params import RequestParams
from service.engine.worker import Worker
from service.errors import EngineFailed
from service.limits.admission import Admitted
from service.observability.request_record import RequestRecord, record_of
from service.registry.model_registry import ModelRegistry

MOST_ATTENTION = 64
"""Translations of a request of which the attention is told."""


@dataclass(frozen=True, slots=True)
class Task:
    """What differs between the tasks."""

    name: Literal["translate", "summarize"]
    one: str
    """Key of the text in an answer."""
    many: str
    """Key of the answers."""


def params_of(body: WorkRequest, key: str, arrived: float) -> RequestParams:
    """What the scheduler is told of a request that arrived at this time."""
    deadline = None if body.deadline_ms is None else arrived + body.deadline_ms / 1000
    return RequestParams(key=key, priority=body.priority, deadline=deadline)


def json_response(body: object) -> Response:
    """A success."""
    return Response(to_json(body), media_type="application/json")


class TextRequest:
    """One request for texts: its body, the model that fits, and its room in the server."""

    def __init__(
        self,
        task: Task,
        worker: Worker,
        body: GenerateRequest,
        params: RequestParams,
        admitted: Admitted,
        record: RequestRecord,
    ) -> None:
        self._record = record
        self._task, self._worker, self._body = task, worker, body
        self.params, self._admitted = params, admitted
        self._options: SearchOptions = options_of(body, worker)
        self._aligned = "alignment" in body.return_
        self._check_attention()

    async def answer(self) -> dict[str, object]:
        """The body of the answer."""
        with without_echo(self._body.options.phrases):
            found = await self._worker.translate(
                self._body.texts,
                self._options,
                self.params,
                self._admitted,
                aligned=self._aligned,
            )
        return await self._told(found)

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """The events of the answer."""
        (text,) = self._body.texts
        with without_echo(self._body.options.phrases):
            stream = self._worker.stream(
                text, self._options, self.params, self._admitted, aligned=self._aligned
            )
            try:
                async for item in stream:
                    if isinstance(item, Translation):
                        yield "done", await self._told([item])
                    else:
                        self._record.partial()
                        yield "partial", {"text": item}
            finally:  # at once, and not when its memory is collected
                await stream.aclose()

    def _check_attention(self) -> None:
        """Of many hypotheses it would be an answer that nobody can read, or send."""
        count = self._options.n_best * len(self._body.texts)
        if "attention" in self._body.return_ and count > MOST_ATTENTION:
            raise RequestError(
                f"return: attention of {count} translations, but it is told of {MOST_ATTENTION} at "
                f"most. Ask for fewer texts or a lower n_best."
            )

    async def _told(self, found: list[Translation]) -> dict[str, object]:
        body, task = self._body, self._task
        arguments = (found, task.one, body.return_, self._options.n_best)
        if "attention" in body.return_:  # are tensors, which the event loop does not touch
            answers = await asyncio.to_thread(text_answers, *arguments)
        else:
            answers = text_answers(*arguments)
        record = self._record
        record.answers = [str(answer[task.one]) for answer in answers]
        best = [translation.hypotheses[0] for translation in found]
        record.source_pieces = sum(len(translation.source_pieces) for translation in found)
        record.target_pieces = sum(len(hypothesis.pieces) for hypothesis in best)
        return {task.many: answers, "model": self._worker.name, "digest": self._worker.digest}


async def respond(
    request: Request,
    schema: type[GenerateRequest],
    task: Task,
    registry: ModelRegistry,
    intake: Intake,
) -> Response:
    """The answer to a request for texts, of either task, whole or as a stream."""
    arrived = time.monotonic()
    key = intake.key(request)
    with ExitStack() as stack:
        body, admitted = await intake.body(request, schema, key, stack)
        chosen = registry.use(task.name, body.model, body.source, body.target)
        worker = stack.enter_context(chosen)
        record = record_of(request.scope)
        record.told(key, worker.name, body.texts)
        params = params_of(body, key, arrived)
        work = TextRequest(task, worker, body, params, admitted, record)
        if not body.stream:
            answer = await while_connected(request, work.answer(), params.deadline)
            if "attention" in body.return_:  # so many figures would hold up everybody else
                return await asyncio.to_thread(json_response, answer)
            return json_response(answer)
        events = work.events()
        first = await while_connected(request, anext(events), params.deadline)
        rest = guarded(events, record)
        return EventStream(first, rest, params.deadline, stack.pop_all())


async def guarded(
    events: AsyncGenerator[StreamEvent, None], record: RequestRecord
) -> AsyncGenerator[StreamEvent, None]:
    """The events, and an error as one of them: the status has been sent already."""
    try:
        async for event in events:
            yield event
    except (DragomanError, EngineFailed) as error:
        kind = kind_of(error)
        record.refused(kind.status, kind.type)
        yield error_event(error)
    finally:
        await events.aclose()
