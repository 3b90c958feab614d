"""Turns: how much of the engine's time goes to work in the background while people wait."""

QUIET_SHARE = 1 / 3
"""Seconds of background work for each second of steps that somebody waits for. Short requests then
take a third longer, and the time of the one step of a document that they come into."""
BUSY_SHARE = 1.0
"""The same when more short requests wait than fit: they all wait by now, and documents count as
much as they do."""


class Turns:
    """Keeps account of the seconds. Documents, long batches and scoring are the background."""

    def __init__(self) -> None:
        self._owed = 0.0  # seconds that the background was ahead of its share

    def foreground(self, seconds: float, *, backlog: bool) -> None:
        """A step that people wait for took this long; does anything wait that did not fit?"""
        share = BUSY_SHARE if backlog else QUIET_SHARE
        self._owed = max(self._owed - seconds * share, 0.0)

    def background(self, seconds: float) -> None:
        """Work in the background took this long."""
        self._owed += seconds

    def alone(self) -> None:
        """Nobody waits: nothing is owed for what is done meanwhile."""
        self._owed = 0.0

    @property
    def allows_background(self) -> bool:
        """Whether it is the turn of the background."""
        return self._owed <= 0
