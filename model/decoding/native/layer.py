"""Layer: one recurrent layer of the decoder or of a direction of the encoder, a step at a time.

One product gives all gates, for the inputs and the hidden state together. What a layer reads from
an embedding is a table of gates, looked up instead of multiplied.
"""

# Shapes: R rows, M rows of state, D state size, G gates together (4D in an LSTM), V vocabulary.

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.decoding.native import cells
from model.decoding.native.cells import Halves
from model.decoding.native.product import Bytes, Floats, Int8Product, Ints
from model.network.cells import RecurrentLayer

Parts = list[tuple[int, float]]
"""Widths of the parts of a product's input, and the bound of each."""


@dataclass(frozen=True, slots=True)
class LayerState:
    """What a layer hands to the next step, for M rows."""

    hidden: Bytes
    """(M, D)"""
    carry: Floats
    """(M, D) the cell of an LSTM, the hidden state of a GRU; (M, 0) of a simple network."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where outputs go: `values[place[r], column:]`, added to what is there or in its place."""

    values: Floats
    place: Ints
    column: int
    add: bool


class Layer:
    """Weights of one layer, as its kernels read them."""

    def __init__(self, layer: RecurrentLayer, inputs: Parts) -> None:
        """`inputs` are those that the product takes: of the layer's inputs the last ones."""
        w, u, b_w, b_u = (p.detach().float().cpu().numpy() for p in layer.kernel.parameters())
        self.kind = layer.kind
        self.size = layer.hidden_size
        doubled = {"lstm": 2, "gru": 2, "rnn": 0}[self.kind] * self.size
        scale = np.ones((len(w), 1), dtype=np.float32)
        scale[doubled : doubled + self.size] = 2.0  # the factor in tanh(x) = 2 sigmoid(2x) - 1
        taken = sum(width for width, _ in inputs)
        free = w.shape[1] - taken
        self.input_weight: Floats = (w * scale)[:, :free]
        """(G, ...) of the inputs that the product does not take."""
        bias = (b_w if self.kind == "gru" else b_w + b_u) * scale[:, 0]
        self.input_bias: Floats = bias
        """(G,), in the product already if it takes all inputs."""
        w, u = (w * scale)[:, free:], u * scale
        own = np.zeros_like(bias) if free or not taken else bias
        hidden: Parts = [(self.size, 1.0)]
        self._from_hidden = None
        if self.kind == "gru":  # the reset gate comes between the two products
            self._from_hidden = Int8Product(u, b_u * scale[:, 0], hidden)
            self.product = Int8Product(w, own, inputs) if taken else None
        else:
            self.product = Int8Product(np.concatenate([w, u], axis=1), own, inputs + hidden)

    @property
    def gate_width(self) -> int:
        """Columns of a buffer for the gates."""
        product = self.product or self._from_hidden
        assert product is not None
        width: int = product.width
        return width

    @property
    def input_width(self) -> int:
        """Bytes that the product reads of each row: the inputs', and the hidden state's behind."""
        return 0 if self.product is None else 4 * self.product.weight.shape[1]

    def table(self, embedding: Tensor) -> Halves:
        """(V, G) what each piece adds to the gates; biases included.

        In bf16: half the memory, and no product follows that could make the rounding larger.
        """
        gates = embedding.detach().float().cpu() @ torch.from_numpy(self.input_weight.T.copy())
        gates += torch.from_numpy(self.input_bias)
        return gates.to(torch.bfloat16).view(torch.uint16).numpy()

    def step(
        self,
        rows: int,
        gates: Floats,
        hidden_gates: Floats,
        given: Bytes,
        old: LayerState,
        origin: Ints,
        new: LayerState,
        target: Target,
    ) -> None:
        """From the sums `gates` to the outputs, see `cells`.

        `given` (R, D), contiguous, is the hidden state before the step; only the GRU reads it here.
        """
        to = (target.values, target.place, target.column, target.add)
        if self.kind == "lstm":
            cells.lstm(gates, rows, old.carry, origin, new.carry, new.hidden, *to)
        elif self._from_hidden is not None:
            self._from_hidden(given, rows, hidden_gates)
            cells.gru(gates, rows, hidden_gates, old.carry, origin, new.carry, new.hidden, *to)
        else:
            cells.rnn(gates, rows, new.hidden, *to)

    def state(self, rows: int) -> LayerState:
        """Zeros: hidden states of 0 are bytes of 128."""
        carry = 0 if self.kind == "rnn" else self.size
        return LayerState(
            np.full((rows, self.size), 128, dtype=np.uint8), np.zeros((rows, carry), np.float32)
        )
