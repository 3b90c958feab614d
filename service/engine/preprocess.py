"""Preprocess: cuts queued texts into sentences, in short time slices between engine steps."""

import dataclasses
import logging
import time
from collections import deque
from collections.abc import Sequence

from model.decoding.options import SearchOptions
from model.errors import InputTooLong, RequestError
from model.text.segmentation import Segmenter
from model.text.tokenizer import Tokenizer
from model.translation.assemble import prepare
from model.translation.incremental_detokenizer import IncrementalDetokenizer
from model.translation.phrases import Phrases
from model.translation.rounds import Prepared
from service.engine.job import MAX_INTERACTIVE, Job
from service.errors import EngineFailed

log = logging.getLogger(__name__)

SLICE_S = 0.002
"""Time slice of preprocessing between two steps."""


def text_field(number: int, count: int) -> str:
    """What messages call the text with this number, of `count` texts of a request."""
    return f"text.{number}" if count > 1 else "text"


class Preprocessor:
    """Queues of jobs to preprocess. Used only by the engine thread, except for `prepare`."""

    def __init__(self, tokenizer: Tokenizer, phrases: Phrases, segmenter: Segmenter) -> None:
        self._tokenizer, self._phrases, self._segmenter = tokenizer, phrases, segmenter
        self._small: deque[Job] = deque()
        self._large: deque[Job] = deque()

    @property
    def has_large(self) -> bool:
        """Whether a job with more than `MAX_INTERACTIVE` texts is queued."""
        return bool(self._large)

    def enqueue(self, job: Job) -> None:
        """Queue `job`."""
        (self._small if len(job.texts) <= MAX_INTERACTIVE else self._large).append(job)

    def prepare(self, texts: Sequence[str], number: int, options: SearchOptions) -> Prepared:
        """Split one of the `texts` of a request into sentences. Safe to call from any thread.

        Raises:
            RequestError: the text cannot be translated with these options.
        """
        try:
            return prepare(texts[number], options, self._segmenter, self._phrases)
        except InputTooLong as error:
            error.field = text_field(number, len(texts))
            raise

    def plan_small(self) -> list[tuple[Job, Exception | None]]:
        """Spend one time slice on jobs of few texts.

        Returns:
            The jobs that are planned now, and those that failed, with the error.
        """
        return self._plan_for_a_slice(self._small)

    def plan_large(self) -> list[tuple[Job, Exception | None]]:
        """Do the same for jobs of many texts."""
        return self._plan_for_a_slice(self._large)

    def _plan_for_a_slice(self, jobs: deque[Job]) -> list[tuple[Job, Exception | None]]:
        planned: list[tuple[Job, Exception | None]] = []
        end = time.monotonic() + SLICE_S
        while jobs:
            job = jobs[0]
            error: Exception | None = None
            try:
                if not job.reply.done and len(job.plans) < len(job.texts):
                    self._plan(job)
            except RequestError as refusal:
                error = refusal
            except Exception:
                log.exception("a text could not be cut into sentences")
                error = EngineFailed()
            if job.reply.done:
                jobs.popleft()
            elif error is not None or len(job.plans) == len(job.texts):
                jobs.popleft()
                planned.append((job, error))
            if time.monotonic() >= end:
                break
        return planned

    def _plan(self, job: Job) -> None:
        """Plan the next text of `job`."""
        number = len(job.plans)
        ready = job.prepared.pop(number, None)
        if ready is None:
            ready = self.prepare(job.texts, number, job.options)
        if job.stream and ready.reading is None:  # of several rounds only the last is streamed
            job.detokenizer = IncrementalDetokenizer(ready.plan, self._tokenizer)
            if len(ready.requests) <= MAX_INTERACTIVE:  # a longer text is streamed by sentences
                streamed = [dataclasses.replace(one, stream=True) for one in ready.requests]
                ready = ready._replace(requests=streamed)
        job.plan(ready)
