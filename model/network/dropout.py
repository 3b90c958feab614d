"""Dropout whose mask costs one random byte an element (Srivastava et al. 2014)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """As `nn.Dropout`, with the rate rounded to a multiple of 1/256.

    On a CPU drawing one Bernoulli variable for each element took 5 % of a training step; the eight
    bytes of one 64-bit draw serve eight elements.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.threshold = round(rate * 256)
        self.over_time = False
        """Whether all timesteps of a sequence get one mask: see `share_masks`."""

    @property
    def active(self) -> bool:
        """Whether anything is dropped: in training, at a rate above 0."""
        return self.training and self.threshold > 0

    def forward(self, x: Tensor) -> Tensor:
        """x with a random share set to 0 and the rest scaled up, in training; else x itself."""
        if not self.active:
            return x
        over_time = self.over_time and x.dim() == 3  # (N, T, D); rows of one timestep are (N, D)
        return x * self.mask((len(x), 1, x.shape[2]) if over_time else x.shape, x)

    def mask(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """A new mask of `shape`, in the dtype and on the device of `like`."""
        count = math.prod(shape)
        draws = torch.empty(-(-count // 8), dtype=torch.int64, device=like.device).random_(
            torch.iinfo(torch.int64).min, None
        )
        kept = draws.view(torch.uint8)[:count].view(*shape) >= self.threshold
        return (kept * (256 / (256 - self.threshold))).to(like.dtype)


def share_masks(network: nn.Module) -> None:
    """Variational dropout: each place of dropout draws one mask for all timesteps of a sequence.

    Gal & Ghahramani 2016, section 4: dropping the same units at each step is approximate inference
    in the network's weights. Here it is on the inputs and outputs of the recurrent layers, not
    between their timesteps, where fused kernels have no place for a mask.
    """
    for module in network.modules():
        if isinstance(module, Dropout):
            module.over_time = True
