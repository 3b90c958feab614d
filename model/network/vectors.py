"""Vectors: a linear layer in the place of the embedding, and the statistics of what is read.

The network computes with normalised vectors only, (x - mean) / std. Who reads or writes vectors
normalises them by the statistics here, at least in fp32: a mean rounded to bf16 could be off by
more than what matters. The statistics are parameters that no training changes, so that they are
kept wherever the weights are.
"""

# Shapes: W numbers in a vector, E embedding size, F feature size.

import torch
from torch import Tensor, nn

from model.network.cells import linear


class Statistics(nn.Module):
    """Mean and standard deviation (W,) of each number of a vector."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(width), requires_grad=False)
        self.std = nn.Parameter(torch.ones(width), requires_grad=False)

    def normalised(self, x: Tensor) -> Tensor:
        """(x - mean) / std, computed in fp64, for x (..., W); the result is fp32."""
        mean, std = self._on(x)
        return ((x.double() - mean) / std).float()

    def restored(self, x: Tensor) -> Tensor:
        """The inverse, fp64."""
        mean, std = self._on(x)
        return x.double() * std + mean

    def named(self, side: str) -> dict[str, Tensor]:
        """Both by the names that they have in a network, of whose `side` they are."""
        return {f"{side}_statistics.{name}": value for name, value in self.named_parameters()}

    def _on(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both, fp64, on the device of `x`, which is read before it goes to that of the network."""
        return self.mean.to(x.device, torch.float64), self.std.to(x.device, torch.float64)


class VectorInput(nn.Linear):
    """Maps normalised vectors (..., W) to (..., E)."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__(width, size)
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., E) for x (..., W)."""
        return linear(x.flatten(0, -2), self.weight, self.bias).view(*x.shape[:-1], -1)
