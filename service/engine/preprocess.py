"""Preprocess: texts are cut into sentences, for a short while between two steps."""

import dataclasses
import logging
import time
from collections import deque
from collections.abc import Sequence

from model.decoding.options import SearchOptions
from model.errors import InputTooLong, RequestError
from model.text.segmentation import Segmenter
from model.text.tokenizer import Tokenizer
from model.translation.assemble import Prepared, prepare
from model.translation.phrases import Phrases
from service.engine.incremental_detokenizer import IncrementalDetokenizer
from service.engine.job import Job
from service.errors import EngineFailed

log = logging.getLogger(__name__)

MANY = 16
"""Requests of more texts, or of more sentences, are work of the background."""
SLICE_S = 0.002
"""How long texts are taken apart at a time."""


class Preprocessor:
    """The jobs that wait to be taken apart. Of the thread of the engine, but for `prepare`."""

    def __init__(self, tokenizer: Tokenizer, phrases: Phrases, segmenter: Segmenter) -> None:
        self._tokenizer, self._phrases, self._segmenter = tokenizer, phrases, segmenter
        self._few: deque[Job] = deque()
        self._many: deque[Job] = deque()

    @property
    def has_many(self) -> bool:
        """Whether a job of many texts waits."""
        return bool(self._many)

    def join(self, job: Job) -> None:
        """Let `job` wait."""
        (self._few if len(job.texts) <= MANY else self._many).append(job)

    def prepare(self, texts: Sequence[str], number: int, options: SearchOptions) -> Prepared:
        """One of the `texts` of a request, taken apart. In any thread.

        Raises:
            RequestError: it cannot be translated so.
        """
        try:
            return prepare(texts[number], options, self._segmenter, self._phrases)
        except InputTooLong as error:
            error.field = f"text.{number}" if len(texts) > 1 else "text"
            raise

    def few(self) -> list[tuple[Job, Exception | None]]:
        """Spend a while on jobs of few texts; those that are planned, or why one cannot be."""
        return self._spend(self._few)

    def many(self) -> list[tuple[Job, Exception | None]]:
        """The same for jobs of many texts."""
        return self._spend(self._many)

    def _spend(self, jobs: deque[Job]) -> list[tuple[Job, Exception | None]]:
        planned: list[tuple[Job, Exception | None]] = []
        end = time.monotonic() + SLICE_S
        while jobs:
            job = jobs[0]
            error: Exception | None = None
            try:
                if not job.ticket.over and len(job.plans) < len(job.texts):
                    self._plan(job)
            except RequestError as refusal:
                error = refusal
            except Exception:
                log.exception("a text could not be taken apart")
                error = EngineFailed()
            if job.ticket.over:
                jobs.popleft()
            elif error is not None or len(job.plans) == len(job.texts):
                jobs.popleft()
                planned.append((job, error))
            if time.monotonic() >= end:
                break
        return planned

    def _plan(self, job: Job) -> None:
        """Take the next text of `job` apart."""
        number = len(job.plans)
        ready = job.given.pop(number, None)
        if ready is None:
            ready = self.prepare(job.texts, number, job.options)
        plan, requests = ready
        if job.stream:
            job.detokenizer = IncrementalDetokenizer(plan, self._tokenizer)
            if len(requests) <= MANY:  # a longer one grows by sentences
                requests = [dataclasses.replace(request, stream=True) for request in requests]
        job.plan(plan, requests)
