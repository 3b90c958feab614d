"""Request record: what is known of one request, for its log line, its metrics and its trace.

The middleware makes one for each request, and whoever learns something writes it down: the route
the model and the pieces, the authentication the name of the key, the worker when the phases ended.
It belongs to the event loop.
"""

import time
from collections.abc import MutableMapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

STATE = "record"
"""Where a record stands in the `state` of its request."""
OTHER_ROUTE = "other"
"""Every path that is not ours: what clients make up is no label."""

QUIET = ("/livez", "/readyz", "/metrics")
"""Routes that machines ask every few seconds: not traced, and in the log at the level debug."""


class Phase(StrEnum):
    """What a request goes through; each is reached once, in this order."""

    SUBMITTED = "submitted"  # taken apart into pieces, and waiting
    JOINED = "joined"  # its first sentence is in an engine
    FOUND = "found"  # its last sentence is over
    ASSEMBLED = "assembled"  # put together again


OK, REFUSED, OVERLOADED, DEADLINE, UNAVAILABLE, GONE, FAILED = (
    "ok",
    "refused",
    "overloaded",
    "deadline",
    "unavailable",
    "client_gone",
    "failed",
)
"""What came of a request."""

_OWN_WORD = {429: OVERLOADED, 499: GONE, 503: UNAVAILABLE, 504: DEADLINE}


def outcome_of(status: int) -> str:
    """What came of a request, in the few words that are enough for a graph."""
    if status in _OWN_WORD:
        return _OWN_WORD[status]
    return OK if 100 <= status < 400 else REFUSED if 400 <= status < 500 else FAILED


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One request. The clock of all times is `time.monotonic`."""

    id: str
    method: str
    started: float = field(default_factory=time.monotonic)
    route: str = OTHER_ROUTE
    """The path as the application spells it, with names in braces."""
    model: str = ""
    """The name of the model that was chosen, one of those that are served."""
    key: str = ""
    """The name of the API key. Never its value."""
    texts: Sequence[str] = ()
    """What was asked. Counted; in the log only if the operator wants texts there."""
    answers: Sequence[str] = ()
    """What was answered. As `texts`."""
    source_pieces: int = 0
    target_pieces: int = 0
    status: int = 0
    """Of the answer, or of the error event with which a stream ended; 0 is none yet."""
    reason: str = ""
    """The type of the error that was answered, from the table of errors."""
    ended: float | None = None
    first_partial: float | None = None
    phases: dict[Phase, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """From the first byte of the head to the last of the answer."""
        return (time.monotonic() if self.ended is None else self.ended) - self.started

    def refused(self, status: int, reason: str) -> None:
        """The request is answered with an error, be it as an event of a stream."""
        self.status, self.reason = status, reason

    def told(self, key: str, model: str, texts: Sequence[str]) -> None:
        """Who asked which model about what: known when the body was read."""
        self.key, self.model, self.texts = key, model, texts

    def partial(self) -> None:
        """A part of the answer is sent. The first call counts."""
        if self.first_partial is None:
            self.first_partial = time.monotonic()

    def reached(self, phase: Phase, at: float | None = None) -> None:
        """`phase` was reached, now or at `at`.

        A request that is submitted in parts has joined with the first and is over with the last.
        """
        at = time.monotonic() if at is None else at
        first = phase in (Phase.SUBMITTED, Phase.JOINED)
        self.phases[phase] = self.phases.get(phase, at) if first else at

    def between(self, begin: Phase, end: Phase) -> float | None:
        """Seconds from one phase to another, if both were reached."""
        if begin not in self.phases or end not in self.phases:
            return None
        return self.phases[end] - self.phases[begin]


CURRENT: ContextVar[RequestRecord | None] = ContextVar("record", default=None)
"""The record of the request that this task works on."""


def reached(phase: Phase, at: float | None = None) -> None:
    """`RequestRecord.reached` of the current request; nothing outside of one, as in a warm-up."""
    if record := CURRENT.get():
        record.reached(phase, at)


def record_of(scope: MutableMapping[str, Any]) -> RequestRecord:
    """The record of the request with this `scope`; a new one where there is no middleware."""
    state = scope.setdefault("state", {})
    if STATE not in state:
        state[STATE] = RequestRecord(id="", method=scope.get("method", ""))
    record: RequestRecord = state[STATE]
    return record
