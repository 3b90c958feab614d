"""Gradient accumulation: the gradients of a global batch, computed in parts."""

from collections.abc import Sequence, Sized
from contextlib import nullcontext
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.losses.output_loss import Loss
from training.system.distributed import World


class TrainingBatch(Protocol):
    """A padded batch."""

    def to(self, device: torch.device) -> "TrainingBatch": ...


class TrainingRows(Protocol):
    """The pairs of a batch before padding, of pieces (`Rows`) or of vectors.

    Some may be those of other processes: the figures are of all, the sides have this one's.
    """

    @property
    def sources(self) -> Sequence[Sized]: ...

    @property
    def targets(self) -> Sequence[Sized]: ...

    @property
    def lines(self) -> int: ...

    @property
    def source_tokens(self) -> int: ...

    @property
    def target_tokens(self) -> int: ...

    @property
    def target_weight(self) -> float: ...

    def part(self, number: int, count: int) -> "TrainingRows": ...

    def padded(self) -> TrainingBatch: ...


class GradientAccumulation:
    """A global batch in world * accumulate parts, of which this process computes `accumulate`.

    What comes out does not depend on who computes which part, up to rounding. A part's random
    numbers (dropout) are seeded by the run, the step and the part's number alone: no state of a
    generator needs to be saved, and two processes draw what one that accumulates two parts draws.
    """

    def __init__(
        self, loss: nn.Module, world: World, *, accumulate: int, seed: int, device: torch.device
    ) -> None:
        self.world = world
        self.count = world.size * accumulate
        self.accumulate = accumulate
        self.seed = seed
        self.device = device
        self.synchronised: DistributedDataParallel | None = None
        if world.size > 1:
            # Gradients lie where they are exchanged, instead of being copied there and back.
            self.synchronised = DistributedDataParallel(loss, gradient_as_bucket_view=True)
        self.loss = self.synchronised or loss

    def gradients(self, rows: TrainingRows, step: int) -> Tensor:
        """Accumulate the gradients of the weighted mean loss of `rows` per target piece.

        Returns:
            (2,) fp64: the smoothed loss and the nll of the whole batch, summed.
        """
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        first = self.world.rank * self.accumulate
        # The processes' gradients are averaged, not summed.
        scale = self.world.size / rows.target_weight
        for number in range(first, first + self.accumulate):
            batch = rows.part(number, self.count).padded().to(self.device)
            torch.manual_seed(part_seed(self.seed, step, number))
            waits = self.synchronised and number < first + self.accumulate - 1
            with self.synchronised.no_sync() if self.synchronised and waits else nullcontext():
                loss: Loss = self.loss(batch, step)
                (loss.smoothed * scale).backward()  # type: ignore[no-untyped-call]
            sums += torch.stack([loss.smoothed.detach(), loss.nll])
        return self.world.sum(sums)


def part_seed(seed: int, step: int, number: int) -> int:
    """Compute the seed, 64 bits, of the random numbers of one part of an update."""
    return int(np.random.SeedSequence([seed, step, number]).generate_state(1, np.uint64)[0])
