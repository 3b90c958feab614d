"""Layer: one recurrent layer of the decoder or of one direction of the encoder, a step at a time.

One product computes all gates from the inputs and the hidden state together. If a layer reads
embeddings, their part of the gates is looked up in a table instead.
"""

# Shapes: R rows, M rows of state, D state size, G width of all gates (4D in an LSTM), V vocabulary.

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from model.decoding.native import cells
from model.decoding.native.cells import Gates, Halves, LayerState, Target
from model.decoding.native.compiled import bound
from model.decoding.native.int8_rows import Parts
from model.decoding.native.product import Bytes, Floats, Int8Product, Ints
from model.network.cells import RecurrentLayer


class Layer:
    """The weights of one layer, in the form that its kernels read."""

    def __init__(self, layer: RecurrentLayer, inputs: Parts) -> None:
        """Prepare `layer`; `inputs` are the last of its inputs, which the product multiplies."""
        w, u, b_w, b_u = (p.detach().float().cpu().numpy() for p in layer.kernel.parameters())
        self.kind = layer.kind
        self.size = layer.hidden_size
        doubled = {"lstm": 2, "gru": 2, "rnn": 0}[self.kind] * self.size
        scale = np.ones((len(w), 1), dtype=np.float32)
        scale[doubled : doubled + self.size] = 2.0  # the factor in tanh(x) = 2 sigmoid(2x) - 1
        taken = sum(width for width, _ in inputs)
        free = w.shape[1] - taken
        self.input_weight: Floats = (w * scale)[:, :free]
        """(G, ...) the weights of the inputs that the product does not multiply."""
        bias = (b_w if self.kind == "gru" else b_w + b_u) * scale[:, 0]
        self.input_bias: Floats = bias
        """(G,) the bias, which is part of the product if that multiplies all inputs."""
        w, u = (w * scale)[:, free:], u * scale
        own = np.zeros_like(bias) if free or not taken else bias
        hidden: Parts = [(self.size, 1.0)]
        self._from_hidden = None
        if self.kind == "gru":  # the reset gate comes between the two products
            self._from_hidden = Int8Product(u, b_u * scale[:, 0], hidden)
            self.product = Int8Product(w, own, inputs) if taken else None
        else:
            self.product = Int8Product(np.concatenate([w, u], axis=1), own, inputs + hidden)
        self._cell = self._bound_cell()

    def _bound_cell(self) -> Callable[[int, Gates, LayerState, Ints, LayerState, Target], None]:
        cell = {"lstm": cells.lstm, "gru": cells.gru, "rnn": cells.rnn}[self.kind]
        state, row = self.state(1), np.zeros(1, np.int32)
        sums = np.zeros((1, self.gate_width), np.float32)
        return bound(cell, 1, Gates(sums, sums), state, row, state, Target(sums, row, 0, False))

    @property
    def gate_width(self) -> int:
        """The number of columns that buffers for the gates need."""
        product = self.product or self._from_hidden
        assert product is not None
        width: int = product.width
        return width

    @property
    def input_width(self) -> int:
        """The number of bytes of each row that the product reads: inputs, then hidden state."""
        return 0 if self.product is None else 4 * self.product.weights.weight.shape[1]

    def table(self, embedding: Tensor) -> Halves:
        """Return what each piece adds to the gates, (V, G), biases included.

        It is in bf16, which halves the memory; no product follows that could amplify the rounding.
        """
        gates = embedding.detach().float().cpu() @ torch.from_numpy(self.input_weight.T.copy())
        gates += torch.from_numpy(self.input_bias)
        return gates.to(torch.bfloat16).view(torch.uint16).numpy()

    def step(
        self,
        rows: int,
        gates: Gates,
        given: Bytes,
        old: LayerState,
        origin: Ints,
        new: LayerState,
        target: Target,
    ) -> None:
        """Compute the hidden states from `gates`, see `cells`.

        Args:
            given: (R, D) contiguous, the hidden state before the step; only a GRU reads it here.
            origin: (R,) the row of `old` that each row continues.
            new: row r is written for row r.
        """
        if self._from_hidden is not None:
            self._from_hidden(given, rows, gates.from_hidden)
        self._cell(rows, gates, old, origin, new, target)

    def state(self, rows: int) -> LayerState:
        """Return a state of zeros for `rows` rows; the byte of a hidden state of 0 is 128."""
        carry = 0 if self.kind == "rnn" else self.size
        return LayerState(
            np.full((rows, self.size), 128, dtype=np.uint8), np.zeros((rows, carry), np.float32)
        )
