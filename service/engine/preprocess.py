"""Preprocess: has queued jobs cut their texts into sentences, in slices between engine steps."""

import logging
import time
from collections import deque

from model.errors import RequestError
from service.engine.job import MAX_INTERACTIVE
from service.engine.sequence_job import EngineJob
from service.errors import EngineFailed

log = logging.getLogger(__name__)

SLICE_S = 0.002
"""Time slice of preprocessing between two steps."""


class Preprocessor:
    """Queues of jobs to plan. Used only by the engine thread."""

    def __init__(self) -> None:
        self._small: deque[EngineJob] = deque()
        self._large: deque[EngineJob] = deque()

    @property
    def has_large(self) -> bool:
        """Whether a job with more than `MAX_INTERACTIVE` texts is queued."""
        return bool(self._large)

    def enqueue(self, job: EngineJob) -> None:
        """Queue `job`."""
        (self._small if job.count <= MAX_INTERACTIVE else self._large).append(job)

    def plan_small(self) -> list[tuple[EngineJob, Exception | None]]:
        """Spend one time slice on jobs of few texts.

        Returns:
            The jobs that are planned now, and those that failed, with the error.
        """
        return self._plan_for_a_slice(self._small)

    def plan_large(self) -> list[tuple[EngineJob, Exception | None]]:
        """Do the same for jobs of many texts."""
        return self._plan_for_a_slice(self._large)

    def _plan_for_a_slice(self, jobs: deque[EngineJob]) -> list[tuple[EngineJob, Exception | None]]:
        planned: list[tuple[EngineJob, Exception | None]] = []
        end = time.monotonic() + SLICE_S
        while jobs:
            job = jobs[0]
            error: Exception | None = None
            try:
                if not job.reply.done and not job.planned:
                    job.plan_next()
            except RequestError as refusal:
                error = refusal
            except Exception:
                log.exception("a text could not be cut into sentences")
                error = EngineFailed()
            if job.reply.done:
                jobs.popleft()
            elif error is not None or job.planned:
                jobs.popleft()
                planned.append((job, error))
            if time.monotonic() >= end:
                break
        return planned
