"""InferenceLayer: a recurrent layer laid out for inference, one step at a time, in few operations.

One product gives all gates, for the inputs and the hidden state together. The embedding part of a
layer's gates is a table, looked up instead of multiplied. tanh(x) is 2 sigmoid(2x) - 1 with the
factors in the weights, so that one sigmoid serves all gates: on CPUs it costs a fifth of a tanh.

`FloatProduct` is a matrix product in fp32 or bf16; the one in int8 is in `native.product`.
"""

# Shapes: R rows, I inputs, O outputs, D state size, G gates together (4D in an LSTM), V vocabulary.

import torch
from torch import Tensor

from model.network.cells import RecurrentLayer, linear


class FloatProduct:
    """x W^T + b for rows x in the dtype; the result is fp32 (R, O)."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        """`weight` (O, I) and `bias` (O,) are fp32; the bias is added in fp32."""
        self._weight = weight.detach().to(dtype).clone()
        self._bias = bias.detach().clone()

    def __call__(self, x: Tensor) -> Tensor:
        """(R, O) fp32 for `x` (R, I) in the dtype."""
        if self._weight.dtype == torch.float32:
            return linear(x, self._weight, self._bias)
        return linear(x, self._weight).float().add_(self._bias)


class InferenceLayer:
    """One recurrent layer, a step at a time.

    Besides the narrow hidden state it carries fp32 values: the LSTM its cell, doubled; the GRU its
    hidden state again, because the next one is mixed from it; the RNN nothing.
    """

    def __init__(self, layer: RecurrentLayer, dtype: torch.dtype, taken: int) -> None:
        """`taken`: how many inputs of the layer, the last ones, go through the product."""
        w, u, b_w, b_u = (parameter.detach().float() for parameter in layer.kernel.parameters())
        self.kind = layer.kind
        self.size = layer.hidden_size
        scale = torch.ones(len(w))
        if self.kind == "lstm":
            scale[2 * layer.hidden_size : 3 * layer.hidden_size] = 2.0  # the candidate's tanh
        elif self.kind == "rnn":
            scale *= 2.0
        scale = scale.to(w.device).unsqueeze(1)
        self.input_weight = (w * scale)[:, : w.shape[1] - taken]
        """(G, ...) for the inputs outside the product, from which a gate table (V, G) is made."""
        self.input_bias = (b_w if self.kind == "gru" else b_w + b_u) * scale.squeeze(1)
        w, u = (w * scale)[:, w.shape[1] - taken :], u * scale
        no_bias = torch.zeros_like(b_w)
        if self.kind == "gru":  # the reset gate comes between the two products
            self._inputs = FloatProduct(w, no_bias, dtype) if taken else None
            self._hidden = FloatProduct(u, b_u, dtype)
        else:
            self._inputs = None
            self._hidden = FloatProduct(torch.cat([w, u], dim=1), no_bias, dtype)

    def step(
        self, inputs: list[Tensor], hidden: Tensor, carry: Tensor, given: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The next hidden state (R, D), fp32, and the next carry.

        Args:
            inputs: narrow parts (R, ...) of the inputs that go through the product.
            hidden: (R, D) narrow.
            carry: (R, D) or (R, 0), fp32.
            given: (R, G) gates so far, including `input_bias`; (G,) if it is only the bias.
        """
        if self.kind == "gru":
            return self._gru(inputs, hidden, carry, given)
        x = torch.cat([*inputs, hidden], dim=-1) if inputs else hidden
        gates = self._hidden(x).add_(given).sigmoid_()
        if self.kind == "rnn":
            return gates.mul_(2).sub_(1), carry
        i, f, g, o = gates.chunk(4, dim=-1)
        # With C = 2c and g = 2s - 1: C' = f C + 2 i (2s - 1); h = o (2 sigmoid(C') - 1).
        carry = torch.addcmul(f * carry, i, g, value=4).sub_(i, alpha=2)
        return (carry.sigmoid() * o).mul_(2).sub_(o), carry

    def _gru(
        self, inputs: list[Tensor], hidden: Tensor, carry: Tensor, given: Tensor
    ) -> tuple[Tensor, Tensor]:
        from_hidden = self._hidden(hidden)
        if self._inputs is not None:
            given = self._inputs(torch.cat(inputs, dim=-1)) + given
        size = hidden.shape[-1]
        r, z = (given[..., : 2 * size] + from_hidden[:, : 2 * size]).sigmoid_().chunk(2, dim=-1)
        n = torch.addcmul(given[..., 2 * size :], r, from_hidden[:, 2 * size :]).tanh()
        carry = torch.lerp(n, carry, z)
        return carry, carry


def gate_table(embedding: Tensor, layer: InferenceLayer, dtype: torch.dtype) -> Tensor:
    """Return what each piece contributes (V, G) to the gates of a layer that reads its embedding.

    Biases are included.
    """
    table = embedding.detach() @ layer.input_weight.t() + layer.input_bias
    return table.to(dtype)
