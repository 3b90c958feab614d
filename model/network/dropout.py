"""Dropout with a mask that costs one random byte per element (Srivastava et al. 2014)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Like `nn.Dropout`, with the rate rounded to a multiple of 1/256.

    On a CPU, drawing a Bernoulli variable for each element took 5 % of a training step; here the
    eight bytes of one 64-bit draw serve eight elements.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.threshold = round(rate * 256)
        self.over_time = False
        """Whether all timesteps of a sequence share one mask: see `share_masks`."""

    @property
    def active(self) -> bool:
        """Whether anything is dropped, which is in training and at a rate above 0."""
        return self.training and self.threshold > 0

    def forward(self, x: Tensor) -> Tensor:
        """In training, set a random share of x to 0 and scale up the rest; else return x."""
        if not self.active:
            return x
        over_time = self.over_time and x.dim() == 3  # (N, T, D); rows of one timestep are (N, D)
        return x * self.mask((len(x), 1, x.shape[2]) if over_time else x.shape, x)

    def mask(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """Draw a mask of `shape`, in the dtype and on the device of `like`."""
        count = math.prod(shape)
        draws = torch.empty(-(-count // 8), dtype=torch.int64, device=like.device).random_(
            torch.iinfo(torch.int64).min, None
        )
        kept = draws.view(torch.uint8)[:count].view(*shape) >= self.threshold
        return (kept * (256 / (256 - self.threshold))).to(like.dtype)


def share_masks(network: nn.Module) -> None:
    """Make dropout variational: each layer of it draws one mask for all timesteps of a sequence.

    Gal & Ghahramani 2016, section 4: dropping the same units at each step is approximate inference
    in the network's weights. Here it is applied to inputs and outputs of the recurrent layers, not
    between their timesteps, because fused kernels take no mask there.
    """
    for module in network.modules():
        if isinstance(module, Dropout):
            module.over_time = True
