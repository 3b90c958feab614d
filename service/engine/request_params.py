"""Request parameters: on whose behalf, how urgently and until when a request is worked on."""

from dataclasses import dataclass

LOWEST, HIGHEST = 0, 9
"""Priorities."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestParams:
    """What the scheduler knows of a request besides its sentences."""

    key: str = ""
    """The name of the API key; all clients without one are one."""
    priority: int = 5
    """From `LOWEST` to `HIGHEST`."""
    deadline: float | None = None
    """By the clock `time.monotonic`; after it nobody wants the answer."""
    document: bool = False
    """Of many sentences, which together may not hold up requests of few."""
