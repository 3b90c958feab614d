"""Memory: the results of the encoder, to which the decoder attends."""

# Shapes: N sentences, S source length, H encoder output size, A attention size.

from typing import NamedTuple

from torch import Tensor


class Memory(NamedTuple):
    """Constant while a sentence is decoded, and shared by all its hypotheses without copies."""

    src: Tensor  # (N, S) source ids
    values: Tensor  # (N, S, H) encoder outputs
    keys: Tensor  # (N, S, A) the values projected once for the attention scores
    mask: Tensor  # (N, S) True at real tokens
