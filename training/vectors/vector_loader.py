"""VectorLoader: endless, reproducible batches of pairs with vectors, from any position."""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import numpy as np

from training.data.batching import plan_epoch
from training.data.position import Position
from training.vectors.frame_rows import FrameRows

AnyFrameRows = TypeVar("AnyFrameRows", bound=FrameRows[Any])


class VectorLoader(Generic[AnyFrameRows]):
    """Draws batches from `position` on, and moves it. All pairs are in memory: one window each."""

    def __init__(self, rows: AnyFrameRows, *, batch_tokens: int, seed: int) -> None:
        """`batch_tokens`: source and target steps of a batch, padding included."""
        self.position = Position()
        self.rows = rows
        self._batch_tokens, self._seed = batch_tokens, seed

    def batches(self) -> Iterator[AnyFrameRows]:
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
