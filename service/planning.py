"""Planning: texts are taken apart into sentences, for a short while between two steps."""

import dataclasses
import logging
import time
from collections import deque

from model.decoding.engine import check_phrases
from model.errors import RequestError
from model.phrases import Phrases
from model.text.tokenizer import Tokenizer
from model.translation import plan_sources, plan_text
from service.errors import EngineFailed
from service.job import Job
from service.streaming import Growing

log = logging.getLogger(__name__)

MANY = 16
"""Requests of more texts, or of more sentences, are work of the background."""
SLICE_S = 0.002
"""How long texts are taken apart at a time."""


class Planner:
    """The jobs that wait to be taken apart. Of the thread of the engine alone."""

    def __init__(self, tokenizer: Tokenizer, phrases: Phrases, limit: int) -> None:
        """`limit` is that of source pieces."""
        self._tokenizer, self._phrases, self._limit = tokenizer, phrases, limit
        self._few: deque[Job] = deque()
        self._many: deque[Job] = deque()

    @property
    def has_many(self) -> bool:
        """Whether a job of many texts waits."""
        return bool(self._many)

    def join(self, job: Job) -> None:
        """Let `job` wait."""
        (self._few if len(job.texts) <= MANY else self._many).append(job)

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
        plan = job.given.pop(number, None)
        if plan is None:
            plan = plan_text(job.texts[number], self._tokenizer, self._limit)
        requests = self._phrases.requests(plan_sources(plan), job.options)
        for request in requests:
            check_phrases(request)  # refused here, it disturbs nobody
        if job.stream:
            requests = [dataclasses.replace(request, stream=True) for request in requests]
            job.growing = Growing(plan, self._tokenizer)
        job.plan(plan, requests)
