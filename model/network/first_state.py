"""First state: hidden and cell of the decoder before its first step, of one of three kinds.

`bridge` makes it of the source, as nearly all translation models do; `learned` is the same for all
sources; `zeros` is what a recurrent layer begins with if nothing is said.
"""

# Shapes: N sentences, H encoder output size, L layers, D decoder size.

import torch
from torch import Tensor, nn

from model.config import ModelConfig
from model.network.cells import linear

NO_VECTORS = "networks with vectors run as they are"
"""Why what prepares text models for inference meets none of the other kinds."""


class Bridge(nn.Linear):
    """tanh of the projected mean of the encoder outputs."""

    def forward(self, mean: Tensor) -> Tensor:
        """States (N, 2LD) for means (N, H)."""
        return linear(mean, self.weight, self.bias).tanh()


class LearnedState(nn.Module):
    """tanh of learned numbers."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(size))

    def forward(self, mean: Tensor) -> Tensor:
        """States (N, 2LD), equal rows."""
        return self.values.tanh().expand(len(mean), -1)


class ZeroState(nn.Module):
    """Zeros."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, mean: Tensor) -> Tensor:
        """States (N, 2LD)."""
        return mean.new_zeros(len(mean), self.size)


def make_first_state(config: ModelConfig) -> Bridge | LearnedState | ZeroState:
    """The module that gives hidden and cell of all layers, 2LD numbers."""
    size = 2 * config.decoder_layers * config.decoder_size
    if config.first_state == "bridge":
        return Bridge(config.encoder_size, size)
    return LearnedState(size) if config.first_state == "learned" else ZeroState(size)
