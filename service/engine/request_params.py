"""Request parameters: all that a request for work says besides its texts, from route to engine."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from model.decoding.options import SearchOptions
from service.limits.admission import Admitted

LOWEST, HIGHEST = 0, 9
"""Priorities."""

Detail = Literal["scores", "tokens", "alignment", "attention"]
"""What can be told of a translation besides its text."""
DETAILS: tuple[Detail, ...] = get_args(Detail)


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestParams:
    """How a request is searched, on whose behalf, how urgently and until when, and what is told."""

    options: SearchOptions
    """Those of the model, with what the request has in their place."""
    admitted: Admitted
    """Its room in the server."""
    key: str = ""
    """The name of the API key; all clients without one are one."""
    priority: int = 5
    """From `LOWEST` to `HIGHEST`."""
    deadline: float | None = None
    """By the clock `time.monotonic`; after it nobody wants the answer."""
    document: bool = False
    """Of many sentences, which together may not hold up requests of few."""
    details: Collection[Detail] = DETAILS
    """What is asked back. Alignments that nobody asks for are not made, for they take time."""
