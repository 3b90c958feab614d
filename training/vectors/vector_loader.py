"""VectorLoader: endless, reproducible batches of vectors, from any position."""

from collections.abc import Iterator

import numpy as np

from training.data.batching import plan_epoch
from training.data.position import Position
from training.vectors.vector_batch import VectorRows


class VectorLoader:
    """Draws batches from `position` on, and moves it. All pairs are in memory: one window each."""

    def __init__(self, rows: VectorRows, *, batch_tokens: int, seed: int) -> None:
        """`batch_tokens`: source and target vectors of a batch, padding included."""
        self.position = Position()
        self.rows = rows
        self._batch_tokens, self._seed = batch_tokens, seed

    def batches(self) -> Iterator[VectorRows]:
        """Yield global batches without end; `position` is already after the batch yielded."""
        epoch, _, done = self.position
        sources, targets = self.rows.lengths()
        while True:
            plan = plan_epoch(
                sources,
                targets,
                batch_tokens=self._batch_tokens,
                generator=np.random.default_rng([self._seed, epoch]),
            )
            for number, places in enumerate(plan[done:], done + 1):
                self.position = Position(epoch, 0, number)
                yield self.rows.only(places)
            epoch, done = epoch + 1, 0
            self.position = Position(epoch)
