"""Rate limit: how many requests a second each API key may send, by a token bucket for each.

Pure: the time is passed in. A bucket holds `burst` tokens, `per_s` come back every second, and a
request takes one.
"""

import math

from service.errors import TooManyRequests


class RateLimiter:
    """The buckets of all keys."""

    def __init__(self, per_s: float | None, burst: int) -> None:
        """
        Args:
            per_s: requests a second in the long run; None limits nothing.
            burst: requests that a key may send at once after a pause.
        """
        self._per_s, self._burst = per_s, float(burst)
        # Tokens and when they were counted. As many as there are keys: strangers have none.
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: str, now: float) -> None:
        """Take the token of one request with the `key` of this name; `now` is in seconds.

        Raises:
            TooManyRequests: there is none; it says when there will be. A refusal takes nothing.
        """
        if self._per_s is None:
            return
        tokens, counted = self._buckets.get(key, (self._burst, now))
        tokens = min(self._burst, tokens + max(now - counted, 0) * self._per_s)
        if tokens < 1:
            self._buckets[key] = tokens, max(now, counted)
            raise TooManyRequests(max(1, math.ceil((1 - tokens) / self._per_s)))
        self._buckets[key] = tokens - 1, max(now, counted)
