"""Rate limit: limits the requests per second of each client, with a token bucket for each.

The time is passed in. A bucket holds `burst` tokens and refills at `per_s` tokens per second; each
request takes one.
"""

import math

from service.errors import TooManyRequests

PRUNE_AT = 10_000
"""Number of buckets from which on those that are full again are forgotten."""


class RateLimiter:
    """Token buckets of all clients."""

    def __init__(self, per_s: float, burst: int) -> None:
        """
        Args:
            per_s: sustained requests per second.
            burst: requests that a client may send at once after a pause.
        """
        self._per_s, self._burst = per_s, float(burst)
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, and when they were counted
        self._prune_at = PRUNE_AT

    def take(self, client: str, now: float) -> None:
        """Take a token for one request of `client`, see `Client.id`; `now` is in seconds.

        Raises:
            TooManyRequests: no token is left; it says when to try again. A refusal takes no token.
        """
        tokens, counted = self._buckets.get(client, (self._burst, now))
        tokens = min(self._burst, tokens + max(now - counted, 0) * self._per_s)
        if tokens < 1:
            self._buckets[client] = tokens, max(now, counted)
            raise TooManyRequests(max(1, math.ceil((1 - tokens) / self._per_s)))
        self._buckets[client] = tokens - 1, max(now, counted)
        if len(self._buckets) >= self._prune_at:
            self._prune(now)

    def _prune(self, now: float) -> None:
        """Forget the buckets that are full again: addresses come and go."""
        full_after_s = self._burst / self._per_s
        self._buckets = {
            client: bucket
            for client, bucket in self._buckets.items()
            if now - bucket[1] < full_after_s
        }
        self._prune_at = max(PRUNE_AT, 2 * len(self._buckets))
