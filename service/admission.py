"""Admission: how much work the whole server takes on, decided before a body is parsed.

The bytes of a body are an upper bound of the source pieces in it, since every piece stands for a
byte at least. They are reserved at once, so that a burst is refused at the door and not after it
has been tokenised, and corrected when the pieces are known. Everything here is the event loop's.
"""

import math
from types import TracebackType

from service.errors import Overloaded

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
        self._speed = FIRST_SPEED

    def enter(self, bytes_: int) -> "Admitted":
        """Reserve room for a request whose body has `bytes_` bytes.

        A request that alone is larger than the limit is let in when nothing else is there.

        Raises:
            Overloaded: there is no room; it says when there may be.
        """
        full = self.requests >= self._max_requests
        if full or (self.requests and self.pieces + bytes_ > self._max_pieces):
            raise Overloaded(
                "The server has as much work as it takes. Try again later.",
                retry_after_s=self.wait_s(),
            )
        return Admitted(self, bytes_)

    def wait_s(self) -> int:
        """Seconds until what is there now is done, by the measured speed; 1 to 60."""
        return min(max(math.ceil(self.pieces / self._speed), 1), 60)

    def measured(self, pieces: int, seconds: float) -> None:
        """So many pieces were finished in so much time while there was work."""
        if seconds > 0:
            self._speed = MEMORY * self._speed + (1 - MEMORY) * pieces / seconds


class Admitted:
    """The room of one request, given back at the end of the `with`."""

    def __init__(self, admission: Admission, pieces: int) -> None:
        self._admission = admission
        self._pieces = pieces
        admission.requests += 1
        admission.pieces += pieces

    def correct(self, bytes_: int, pieces: int) -> None:
        """Texts of the request with so many bytes have so many source pieces: these are reserved.

        The rest of the request, of which the pieces are not known yet, stays reserved as it is.
        """
        self._admission.pieces += pieces - bytes_
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
        self._admission.requests -= 1
        self._admission.pieces -= self._pieces
