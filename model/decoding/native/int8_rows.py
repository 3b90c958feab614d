"""Int8 rows: how the weights of a product become bytes, and which products there are.

A row of weights, one output, has one scale (Jacob et al. 2018, section 3). The kernels multiply
these bytes, and a pack stores them: what it stores is what the kernels would make of the weights.
"""

# Shapes: I inputs, O outputs.

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig

STEPS = 127  # steps of int8 on either side of zero

Parts = list[tuple[int, float]]
"""The width and the bound of each part of a product's input, in order. Each part is converted to
bytes with its own bound, so its weights are multiplied by that."""


class Int8Rows(NamedTuple):
    """Weights (O, I), of which row o is `steps[o] * scale[o]`."""

    steps: NDArray[np.int8]
    """(O, I)"""
    scale: NDArray[np.float32]
    """(O,)"""


def int8_rows(weight: NDArray[np.float32]) -> Int8Rows:
    """Convert weights (O, I) to the nearest steps; the largest of each row becomes 127.

    The conversion of the result is the same again.
    """
    # Any scale will do for a row of zeros.
    scale = np.maximum(np.abs(weight).max(axis=1), np.finfo(np.float32).tiny) / STEPS
    return Int8Rows(np.rint(weight / scale[:, None]).astype(np.int8), scale)


def decoder_inputs(config: ModelConfig, number: int) -> Parts:
    """The inputs that the product of decoder layer `number` multiplies: the last of its inputs.

    The embedding before them is looked up in a table.
    """
    inputs: Parts = [(config.decoder_size, float(max(number, 1)))]
    if config.input_feeding:
        return inputs
    return [*inputs, context(config)] if number else []


def combined_inputs(config: ModelConfig) -> Parts:
    """The inputs of the layer that combines the decoder's outputs with the context."""
    return [(config.decoder_size, float(config.decoder_layers)), context(config)]


def context(config: ModelConfig) -> tuple[int, float]:
    """The width and the bound of the context: a convex combination of sums of layers' outputs."""
    return config.encoder_size, float(config.encoder_layers)
