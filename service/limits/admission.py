"""Admission: limits the outstanding work of the whole server, before a body is parsed.

The bytes of a body are an upper bound on its source pieces, since every piece stands for at least
one byte. They are reserved at once, so that a burst is refused before it is tokenized, and replaced
by the number of pieces when that is known. Everything here runs on the event loop.

A client that fills the server must not lock out the others: each of k active API keys has a k-th of
the room, whatever the others hold. A server that one key has filled therefore exceeds its limits
for a while when other keys arrive: with k keys by a factor of at most 1 + 1/2 + ... + 1/k.
"""

import math
from dataclasses import dataclass
from types import TracebackType

from service.errors import Overloaded
from service.limits.api_keys import ANONYMOUS

SPEED_DECAY = 0.9
"""Weight of the old value in the exponential moving average of the speed."""
INITIAL_SPEED = 1_000.0
"""Pieces per second that are assumed before the first measurement."""


class Admission:
    """Counts the requests accepted and not yet answered, and their source pieces."""

    def __init__(self, max_requests: int, max_pieces: int) -> None:
        self._max_requests, self._max_pieces = max_requests, max_pieces
        self.requests = 0
        self.pieces = 0
        self._held: dict[str, _Held] = {}
        self._speed = INITIAL_SPEED

    def admit(self, bytes_: int, key: str = ANONYMOUS) -> "Reservation":
        """Reserve room for a request with this API key whose body has `bytes_` bytes.

        A request that is larger than the limit by itself is admitted while the server is empty.

        Raises:
            Overloaded: there is no room; it says when to try again.
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
        return Reservation(self, self._held.setdefault(key, own), key, bytes_)

    def _fits(self, requests: int, pieces: int, shared_by: int) -> bool:
        """Return whether one more request, for a total of `pieces`, fits into a share of the room.

        A share is the whole room divided by `shared_by`.
        """
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
        """Estimate the seconds until the current work is done, by the measured speed; 1 to 60."""
        return min(max(math.ceil(self.pieces / self._speed), 1), 60)

    def record_speed(self, pieces: int, seconds: float) -> None:
        """Update the measured speed: `pieces` were finished in `seconds` of computing."""
        if seconds > 0:
            self._speed = SPEED_DECAY * self._speed + (1 - SPEED_DECAY) * pieces / seconds


@dataclass(slots=True)
class _Held:
    """What the requests of one key have reserved."""

    requests: int = 0
    pieces: int = 0


class Reservation:
    """The room reserved for one request, released at the end of the `with`."""

    def __init__(self, admission: Admission, held: _Held, key: str, pieces: int) -> None:
        self._admission, self._held, self._key = admission, held, key
        self._pieces = pieces
        admission._take(held, 1, pieces)

    def count_pieces(self, bytes_: int, pieces: int) -> None:
        """Replace `bytes_` of the reservation by the number of source pieces that they turned into.

        The rest of the request, whose pieces are not yet known, stays reserved as bytes.
        """
        self._admission._take(self._held, 0, pieces - bytes_)
        self._pieces += pieces - bytes_

    def record_speed(self, pieces: int, seconds: float) -> None:
        """See `Admission.measured`."""
        self._admission.record_speed(pieces, seconds)

    def __enter__(self) -> "Reservation":
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
