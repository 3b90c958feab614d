"""Rate limit: limits the requests per second of each API key, with a token bucket for each.

The time is passed in. A bucket holds `burst` tokens and refills at `per_s` tokens per second; each
request takes one.
"""

import math

from service.errors import TooManyRequests


class RateLimiter:
    """Token buckets of all keys."""

    def __init__(self, per_s: float | None, burst: int) -> None:
        """
        Args:
            per_s: sustained requests per second; None for no limit.
            burst: requests that a key may send at once after a pause.
        """
        self._per_s, self._burst = per_s, float(burst)
        # Tokens and when they were counted. Only known keys get here, so this stays bounded.
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: str, now: float) -> None:
        """Take a token for one request of the key named `key`; `now` is in seconds.

        Raises:
            TooManyRequests: no token is left; it says when to try again. A refusal takes no token.
        """
        if self._per_s is None:
            return
        tokens, counted = self._buckets.get(key, (self._burst, now))
        tokens = min(self._burst, tokens + max(now - counted, 0) * self._per_s)
        if tokens < 1:
            self._buckets[key] = tokens, max(now, counted)
            raise TooManyRequests(max(1, math.ceil((1 - tokens) / self._per_s)))
        self._buckets[key] = tokens - 1, max(now, counted)
