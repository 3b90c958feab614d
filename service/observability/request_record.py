"""Request record: collects the facts about one request for its log line, metrics and trace.

The middleware creates a record for each request. The route adds the API key, the model and the
piece counts, and the worker adds the times of the phases. It is used only on the event loop.
"""

import time
from collections.abc import MutableMapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

STATE = "record"
"""The key of a record in the `state` of its request."""
OTHER_ROUTE = "other"
"""Route of all unknown paths: a path that a client makes up must not become a label."""

QUIET = ("/livez", "/readyz", "/metrics")
"""Routes that are polled every few seconds: not traced, and logged at level debug."""


class Phase(StrEnum):
    """The phases of a request; each is reached once, in this order."""

    SUBMITTED = "submitted"  # handed to the engine thread
    JOINED = "joined"  # its first sentence has entered an engine
    DECODED = "decoded"  # its last sentence is finished
    ASSEMBLED = "assembled"  # its translations are assembled from the sentences


OK, REFUSED, OVERLOADED, DEADLINE, UNAVAILABLE, GONE, FAILED = (
    "ok",
    "refused",
    "overloaded",
    "deadline",
    "unavailable",
    "client_gone",
    "failed",
)
"""Outcomes of a request."""

_OUTCOMES = {429: OVERLOADED, 499: GONE, 503: UNAVAILABLE, 504: DEADLINE}


def outcome_of(status: int) -> str:
    """Map the status of an answer to an outcome."""
    if status in _OUTCOMES:
        return _OUTCOMES[status]
    return OK if 100 <= status < 400 else REFUSED if 400 <= status < 500 else FAILED


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """The facts about one request. All times are by `time.monotonic`."""

    id: str
    method: str
    started: float = field(default_factory=time.monotonic)
    route: str = OTHER_ROUTE
    """The path template of the route, with parameters in braces."""
    model: str = ""
    """Name of the model that was chosen."""
    key: str = ""
    """Name of the API key, never its value."""
    texts: Sequence[str] = ()
    """Texts of the request. Their number is logged; they are only if the operator asks for it."""
    answers: Sequence[str] = ()
    """Texts of the answer, logged only if the operator asks for it."""
    source_pieces: int = 0
    target_pieces: int = 0
    status: int = 0
    """Status of the answer, or of the error event that ended a stream; 0 before either."""
    reason: str = ""
    """Type of the error in the answer, from the table of errors."""
    ended: float | None = None
    first_partial: float | None = None
    phases: dict[Phase, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Seconds from the head of the request to the end of its answer, or until now."""
        return (time.monotonic() if self.ended is None else self.ended) - self.started

    def refused(self, status: int, reason: str) -> None:
        """Record that the request is answered with an error, in a response or in a stream event."""
        self.status, self.reason = status, reason

    def set_work(self, key: str, model: str, texts: Sequence[str]) -> None:
        """Record API key, model and texts, which are known once the body has been read."""
        self.key, self.model, self.texts = key, model, texts

    def partial(self) -> None:
        """Record that a partial answer is sent. Only the first call has an effect."""
        if self.first_partial is None:
            self.first_partial = time.monotonic()

    def reached(self, phase: Phase, at: float | None = None) -> None:
        """Record that `phase` was reached, now or at `at`.

        Of several calls for one phase, the first counts for `SUBMITTED` and `JOINED`, and the last
        for the others.
        """
        at = time.monotonic() if at is None else at
        first = phase in (Phase.SUBMITTED, Phase.JOINED)
        self.phases[phase] = self.phases.get(phase, at) if first else at

    def between(self, begin: Phase, end: Phase) -> float | None:
        """Return the seconds from one phase to another; None unless both were reached."""
        if begin not in self.phases or end not in self.phases:
            return None
        return self.phases[end] - self.phases[begin]


CURRENT: ContextVar[RequestRecord | None] = ContextVar("record", default=None)
"""The record of the request that the current task works on."""


def reached(phase: Phase, at: float | None = None) -> None:
    """Call `RequestRecord.reached` of the current request, if there is one."""
    if record := CURRENT.get():
        record.reached(phase, at)


def record_of(scope: MutableMapping[str, Any]) -> RequestRecord:
    """Return the record of the request with this `scope`, creating it if no middleware did."""
    state = scope.setdefault("state", {})
    if STATE not in state:
        state[STATE] = RequestRecord(id="", method=scope.get("method", ""))
    record: RequestRecord = state[STATE]
    return record
