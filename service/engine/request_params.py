"""Request parameters: everything a request specifies besides its texts, from route to engine."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from model.decoding.options import SearchOptions
from service.limits.admission import Reservation

LOWEST, HIGHEST = 0, 9
"""Range of priorities."""

Detail = Literal["scores", "tokens", "alignment", "attention"]
"""What an answer can contain besides its text."""
DETAILS: tuple[Detail, ...] = get_args(Detail)


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestParams:
    """Search options, client, priority, deadline and requested details of one request."""

    options: SearchOptions
    """The defaults of the model, overridden by the options of the request."""
    reservation: Reservation
    """The room that the request takes in the server."""
    client: str = ""
    """Whom the request is counted for when clients share the engine, see `Client.id`."""
    priority: int = 5
    """From `LOWEST` to `HIGHEST`."""
    deadline: float | None = None
    """When the answer stops being useful, by `time.monotonic`."""
    document: bool = False
    """Whether it has so many sentences that it must not delay short requests."""
    details: Collection[Detail] = DETAILS
    """What the answer contains besides its text. Alignments take time, so they are computed only
    on request."""
