"""Admission: limits the outstanding work of the whole server, before a body is parsed.

The bytes of a body are an upper bound on its source pieces, since every piece stands for at least
one byte. They are reserved as they arrive, so that a burst is refused before it is tokenized, and
replaced by the number of pieces when that is known. A large answer counts as well, until the client
has read it. Everything here runs on the event loop.

Short and long requests have pools of their own, so that long work can never keep short work out.
In each pool, a client that fills it must not lock out the others: each of k active clients has a
k-th of the room, whatever the others hold. A pool that one client has filled therefore exceeds its
limits for a while when others arrive: with k clients by a factor of at most 1 + 1/2 + ... + 1/k.
"""

import math
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from service.errors import Overloaded
from service.limits.clients import Client

SHORT_BYTES = 4_096
"""A request is short if neither its body nor its answer takes more."""
ANSWER_BYTES_PER_PIECE = 8
"""Bytes of an answer that count as much as a source piece. Hypotheses take ten times their JSON."""
SPEED_DECAY = 0.9
"""Weight of the old value in the exponential moving average of the speed."""
INITIAL_SPEED = 1_000.0
"""Pieces per second that are assumed before the first measurement."""


class Admission:
    """Counts the requests accepted and not yet answered, and their source pieces."""

    def __init__(self, max_requests: int, max_pieces: int) -> None:
        """Both limits hold for each of the two pools."""
        self._short = _Pool(max_requests, max_pieces)
        self._long = _Pool(max_requests, max_pieces)
        self._speed = INITIAL_SPEED

    @property
    def requests(self) -> int:
        """Requests accepted and not yet answered."""
        return self._short.requests + self._long.requests

    @property
    def pieces(self) -> int:
        """Source pieces in them; their bytes until the pieces are known, and of bodies to come."""
        return self._short.pieces + self._long.pieces

    def reservation(self, client: Client) -> "Reservation":
        """Return the reservation of a new request of `client`, which is empty yet."""
        return Reservation(self, client)

    def pool(self, size: int) -> "_Pool":
        """Return the pool for a request of `size` bytes."""
        return self._short if size <= SHORT_BYTES else self._long

    def wait_s(self) -> int:
        """Estimate the seconds until the current work is done, by the measured speed; 1 to 60."""
        return min(max(math.ceil(self.pieces / self._speed), 1), 60)

    def record_speed(self, pieces: int, seconds: float) -> None:
        """Update the measured speed: `pieces` were finished in `seconds` of computing."""
        if seconds > 0:
            self._speed = SPEED_DECAY * self._speed + (1 - SPEED_DECAY) * pieces / seconds


@dataclass(slots=True)
class _Held:
    """What reservations hold."""

    requests: int = 0
    pieces: int = 0


class _Pool:
    """The room for short requests, or for long ones."""

    def __init__(self, max_requests: int, max_pieces: int) -> None:
        self._max_requests, self._max_pieces = max_requests, max_pieces
        self.requests = 0
        self.pieces = 0
        self._held: dict[Client, _Held] = {}

    def fits(self, client: Client, mine: _Held, requests: int, pieces: int) -> bool:
        """Return whether a reservation that holds `mine` may hold so much more.

        A request that is larger than the limit by itself fits while nothing else is there.
        """
        if (self.requests, self.pieces) == (mine.requests, mine.pieces):
            return True
        own = self._held.get(client, _Held())
        clients = len(self._held) + (client not in self._held)
        own_requests, own_pieces = own.requests + requests, own.pieces + pieces
        free = self._within(self.requests + requests, self.pieces + pieces, 1)
        if free and self._within(own_requests, own_pieces, client.least_divisor):
            return True
        return self._within(own_requests, own_pieces, max(clients, client.least_divisor))

    def _within(self, requests: int, pieces: int, divisor: int) -> bool:
        return requests <= self._max_requests / divisor and pieces <= self._max_pieces / divisor

    def take(self, client: Client, requests: int, pieces: int) -> None:
        """Reserve so much more for `client`, or less."""
        own = self._held.setdefault(client, _Held())
        for held in (self, own):
            held.requests += requests
            held.pieces += pieces
        if not (own.requests or own.pieces):
            del self._held[client]


class Reservation:
    """The room reserved for one request, released at the end of the `with`."""

    def __init__(self, admission: Admission, client: Client) -> None:
        self._admission, self._client = admission, client
        self._pool = admission.pool(0)
        self._mine = _Held()
        self._released = False

    def announce(self, size: int) -> None:
        """Check that a body of `size` bytes would find room now. Nothing is reserved for it.

        Raises:
            Overloaded: there is no room; it says when to try again.
        """
        pool = self._admission.pool(size)
        if not pool.fits(self._client, _Held(), 1, size):
            self._refuse()

    def receive(self, size: int) -> None:
        """Reserve room for the `size` bytes of the body that have arrived, if that is a long one.

        Raises:
            Overloaded: there is no room; it says when to try again.
        """
        if size > SHORT_BYTES:
            self._resize(self._admission.pool(size), 0, size)

    def accept(self, size: int) -> None:
        """Count the request, whose body of `size` bytes is complete.

        Raises:
            Overloaded: there is no room; it says when to try again.
        """
        self._resize(self._admission.pool(size), 1, size)

    def expect(self, answer_bytes: int) -> None:
        """Reserve room for an answer of about so many bytes.

        Raises:
            Overloaded: there is no room; it says when to try again.
        """
        size = self._mine.pieces + answer_bytes // ANSWER_BYTES_PER_PIECE
        self._resize(self._admission.pool(size), 1, size)

    def weigh(self, answer_bytes: int) -> None:
        """Reserve the room that an answer really takes, until it has been written."""
        pieces = answer_bytes // ANSWER_BYTES_PER_PIECE
        self._pool.take(self._client, 0, pieces - self._mine.pieces)
        self._mine.pieces = pieces

    def _resize(self, pool: _Pool, requests: int, pieces: int) -> None:
        """Hold this much, in this pool, in place of what is held."""
        before = self._pool, self._mine
        self._release()
        if not pool.fits(self._client, self._mine, requests, pieces):
            self._pool, held = before
            self._hold(held.requests, held.pieces)
            self._refuse()
        self._pool = pool
        self._hold(requests, pieces)

    def _hold(self, requests: int, pieces: int) -> None:
        self._mine = _Held(requests, pieces)
        self._pool.take(self._client, requests, pieces)

    def _release(self) -> None:
        self._pool.take(self._client, -self._mine.requests, -self._mine.pieces)
        self._mine = _Held()

    def _refuse(self) -> None:
        raise Overloaded(
            "The server has as much work as it takes. Try again later.",
            retry_after_s=self._admission.wait_s(),
        )

    def count_pieces(self, bytes_: int, pieces: int) -> None:
        """Replace `bytes_` of the reservation by the number of source pieces that they turned into.

        The rest of the request, whose pieces are not yet known, stays reserved as bytes.
        """
        if self._released:  # the client has left before its text was tokenized
            return
        self._mine.pieces += pieces - bytes_
        self._pool.take(self._client, 0, pieces - bytes_)

    def record_speed(self, pieces: int, seconds: float) -> None:
        """See `Admission.record_speed`."""
        self._admission.record_speed(pieces, seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._released = True
        self._release()
