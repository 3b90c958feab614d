"""Sequence job: one request for sequences of symbols or vectors, while the engine works on it."""

import time
from collections.abc import Sequence

from model.decoding.beam_search import Hypothesis
from model.decoding.request import Request
from service.engine.job import Job
from service.engine.reply import PendingReply

Found = list[tuple[Hypothesis, ...]]
"""The hypotheses for each sequence of a request, best first."""


class SequenceJob:
    """Sequences to transduce, as requests of the engine.

    Once created, it is used only by the engine thread.
    """

    def __init__(self, reply: PendingReply[Found], requests: Sequence[Request], size: int) -> None:
        """`size`: bytes of the sequences as they were sent."""
        self.reply, self.requests, self.size = reply, requests, size
        self._found: Found = [()] * len(requests)
        self._missing = len(requests)

    @property
    def pieces(self) -> int:
        """Number of symbols or vectors of the sources."""
        return sum(len(request.src) for request in self.requests)

    @property
    def count(self) -> int:
        """Number of sequences."""
        return len(self.requests)

    @property
    def planned(self) -> bool:
        """True: the requests are there from the beginning."""
        return True

    def plan_next(self) -> None:
        """Do nothing: there is nothing to plan."""

    def begin(self) -> None:
        """Answer at once if there is no sequence."""
        self._answer_if_done()

    def finish_sentence(self, number: int, hypotheses: tuple[Hypothesis, ...]) -> None:
        """Record the hypotheses of the request `number`, and answer when nothing is missing."""
        self._found[number] = hypotheses
        self._missing -= 1
        self._answer_if_done()

    def send_partial(self, number: int, pieces: tuple[int, ...], *, done: bool) -> None:
        """Do nothing: sequences are not streamed."""

    def _answer_if_done(self) -> None:
        if not self._missing:
            self.reply.decoded_at = time.monotonic()
            self.reply.finish(self._found)


EngineJob = Job | SequenceJob
"""What an engine works on."""
