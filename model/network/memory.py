"""Memory: what the encoder leaves behind for the decoder to attend to."""

# Shapes: N sentences, S source length, H encoder output size, A attention size.

from typing import NamedTuple

from torch import Tensor


class Memory(NamedTuple):
    """Constant while a sentence is decoded; hypotheses are queries against it, never copies."""

    src: Tensor  # (N, S) source ids
    values: Tensor  # (N, S, H) encoder outputs
    keys: Tensor  # (N, S, A) the values projected once for the attention scores
    mask: Tensor  # (N, S) True at real tokens
