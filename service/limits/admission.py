"""Admission: how much work the whole server takes on, decided before a body is parsed.

The bytes of a body are an upper bound of the source pieces in it, since every piece stands for a
byte at least. They are reserved at once, so that a burst is refused at the door and not after it
has been tokenised, and corrected when the pieces are known. Everything here is the event loop's.

A client that fills the server must not lock out the others: with k API keys at work each has a k-th
of the room, whatever the others hold. So a server that somebody filled before others came holds
more than its limits for a while: with k keys at most 1 + 1/2 + ... + 1/k times as much.
"""

import math
from dataclasses import dataclass
from types import TracebackType

from service.errors import Overloaded
from service.limits.api_keys import ANYBODY

MEMORY = 0.9
"""Share of the measured speed that a new measurement leaves of the old one."""
FIRST_SPEED = 1_000.0
"""Pieces a second, until there is a measurement."""


class Admission:
    """Requests accepted and not yet answered, and the source pieces in them."""

    def __init__(self, max_requests: int, max_pieces: int) -> None:
        self._max_requests, self._max_pieces = max_requests, max_pieces
        self.requests = 0
        self.pieces = 0
        self._held: dict[str, _Held] = {}
        self._speed = FIRST_SPEED

    def enter(self, bytes_: int, key: str = ANYBODY) -> "Admitted":
        """Reserve room for a request with this API key whose body has `bytes_` bytes.

        A request that alone is larger than the limit is let in when nothing else is there.

        Raises:
            Overloaded: there is no room; it says when there may be.
        """
        own = self._held.get(key, _Held())
        keys = len(self._held | {key: own})
        alone = self.requests == 0
        free = self._fits(self.requests, self.pieces + bytes_, 1)
        if not (alone or free or self._fits(own.requests, own.pieces + bytes_, keys)):
            raise Overloaded(
                "The server has as much work as it takes. Try again later.",
                retry_after_s=self.wait_s(),
            )
        return Admitted(self, self._held.setdefault(key, own), key, bytes_)

    def _fits(self, requests: int, pieces: int, shared_by: int) -> bool:
        """Whether one request more, to make up so many pieces, fits into a share of the room."""
        return (
            requests + 1 <= self._max_requests / shared_by
            and pieces <= self._max_pieces / shared_by
        )

    def _take(self, held: "_Held", requests: int, pieces: int) -> None:
        self.requests += requests
        self.pieces += pieces
        held.requests += requests
        held.pieces += pieces

    def wait_s(self) -> int:
        """Seconds until what is there now is done, by the measured speed; 1 to 60."""
        return min(max(math.ceil(self.pieces / self._speed), 1), 60)

    def measured(self, pieces: int, seconds: float) -> None:
        """So many pieces were finished in so much time while there was work."""
        if seconds > 0:
            self._speed = MEMORY * self._speed + (1 - MEMORY) * pieces / seconds


@dataclass(slots=True)
class _Held:
    """What the requests of one key hold."""

    requests: int = 0
    pieces: int = 0


class Admitted:
    """The room of one request, given back at the end of the `with`."""

    def __init__(self, admission: Admission, held: _Held, key: str, pieces: int) -> None:
        self._admission, self._held, self._key = admission, held, key
        self._pieces = pieces
        admission._take(held, 1, pieces)

    def correct(self, bytes_: int, pieces: int) -> None:
        """Texts of the request with so many bytes have so many source pieces: these are reserved.

        The rest of the request, of which the pieces are not known yet, stays reserved as it is.
        """
        self._admission._take(self._held, 0, pieces - bytes_)
        self._pieces += pieces - bytes_

    def measured(self, pieces: int, seconds: float) -> None:
        """See `Admission.measured`."""
        self._admission.measured(pieces, seconds)

    def __enter__(self) -> "Admitted":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._admission._take(self._held, -1, -self._pieces)
        if not self._held.requests:
            del self._admission._held[self._key]
