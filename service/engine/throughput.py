"""Throughput: source pieces a second while there is work, measured."""

WINDOW_S = 0.25
"""Work that a measurement takes."""
MEMORY = 0.8
"""Share of the earlier measurements that a new one leaves."""


class Throughput:
    """What the engines of a worker have done lately."""

    def __init__(self) -> None:
        self.pieces_per_s = 0.0
        """0 until there is a measurement."""
        self.step_s = 0.0
        """Of a step, lately."""
        self._pieces = 0
        self._seconds = 0.0

    def stepped(self, seconds: float) -> None:
        """A step took this long."""
        self.worked(seconds)
        self.step_s = _follow(self.step_s, seconds)

    def worked(self, seconds: float) -> None:
        """Something that is no step took this long."""
        self._seconds += seconds

    def finished(self, pieces: int) -> tuple[int, float] | None:
        """A sentence of so many pieces is done.

        Returns:
            Pieces and seconds of a measurement, if it completes one.
        """
        self._pieces += pieces
        if self._seconds < WINDOW_S:
            return None
        measured = self._pieces, self._seconds
        self.pieces_per_s = _follow(self.pieces_per_s, self._pieces / self._seconds)
        self._pieces, self._seconds = 0, 0.0
        return measured


def _follow(old: float, new: float) -> float:
    return MEMORY * old + (1 - MEMORY) * new if old else new
