"""PackedEncoder: the encoder for inference. fp32 and bf16 run torch's kernels, int8 its own steps.

In int8 a whole layer's inputs are multiplied at once, for both directions; the steps that remain
are those of the recurrence. Times come first in the tensors here, so that a step reads one block.
"""

# Shapes: N sentences, S source length, H encoder output size, h half of it, G gates of a direction.

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from model.decoding.packed_layer import PackedLayer, gate_table
from model.decoding.products import DTYPES, Precision, Product, narrow
from model.network.cells import RecurrentLayer
from model.network.seq2seq import Seq2Seq

FEW = 16
"""Sentences up to which both directions run as one layer of twice the width: fewer operations for
twice the multiplications. In int8 the sums are of integers, so the bits are the same."""


class PackedEncoder:
    """Source ids to encoder outputs, fp32."""

    def __init__(self, network: Seq2Seq, precision: Precision) -> None:
        """`network` is in fp32."""
        encoder = network.encoder
        self._size = network.config.encoder_size
        self._int8 = precision == "int8"
        embedding = network.source_embedding.weight.detach() * network.input_scale
        if not self._int8:
            self._embedding = embedding.to(DTYPES[precision])
            same = precision == "fp32"
            self._encoder = encoder if same else copy.deepcopy(encoder).to(DTYPES[precision])
            return
        self._directions = [
            tuple(PackedLayer(layer, precision, []) for layer in pair)
            for pair in zip(encoder.forwards, encoder.backwards, strict=True)
        ]
        self._both = [
            PackedLayer(side_by_side(ahead, back), precision, [])
            for ahead, back in zip(encoder.forwards, encoder.backwards, strict=True)
        ]
        self._table = gate_table(embedding, self._both[0], precision)
        self._inputs = [
            Product(both.input_weight, both.input_bias, precision, [(self._size, float(number))])
            for number, both in enumerate(self._both[1:], start=1)
        ]

    def __call__(self, src: Tensor, lengths: Tensor) -> Tensor:
        """Encoder outputs (N, S, H), fp32, for `src` (N, S); meaningless but finite at padding."""
        if not self._int8:
            embedded = self._embedding.index_select(0, src.flatten()).view(*src.shape, -1)
            return torch.as_tensor(self._encoder(embedded, lengths)).float()
        size = src.shape[1]
        steps = int(lengths.max())
        turned = _reversal(lengths, steps).flatten()
        gates = self._table.index_select(0, src[:, :steps].t().flatten()).float()
        outputs = self._layer(0, gates, turned, len(src))
        for number, product in enumerate(self._inputs, start=1):
            gates = product(narrow(outputs.flatten(0, 1), "int8", float(number)))
            outputs = outputs + self._layer(number, gates, turned, len(src))
        return F.pad(outputs.transpose(0, 1), (0, 0, 0, size - steps)).contiguous()

    def _layer(self, number: int, gates: Tensor, turned: Tensor, count: int) -> Tensor:
        """Outputs (S, N, H) of a layer whose inputs give `gates` (S*N, 2G) to both directions."""
        half = self._size // 2
        # (S*N, gates, directions, h)
        split = gates.view(len(gates), -1, 2, half)
        back = split[:, :, 1].index_select(0, turned)
        if count <= FEW:
            split = torch.stack([split[:, :, 0], back], dim=2)
            both = _run(self._both[number], split.view(-1, count, gates.shape[1]))
            ahead, other = both.flatten(0, 1).chunk(2, dim=1)
        else:
            first, second = self._directions[number]
            ahead = _run(first, split[:, :, 0].reshape(-1, count, gates.shape[1] // 2))
            ahead = ahead.flatten(0, 1)
            other = _run(second, back.view(-1, count, gates.shape[1] // 2)).flatten(0, 1)
        outputs = torch.cat([ahead, other.index_select(0, turned)], dim=1)
        return outputs.view(-1, count, self._size)


def side_by_side(ahead: RecurrentLayer, back: RecurrentLayer) -> RecurrentLayer:
    """Two directions as one layer of twice the width; neither sees the other's hidden state."""
    size = ahead.hidden_size
    both = RecurrentLayer(ahead.kind, ahead.kernel.input_size, 2 * size)
    kernels = zip(
        both.kernel.parameters(), ahead.kernel.parameters(), back.kernel.parameters(), strict=True
    )
    with torch.no_grad():
        for target, one, other in kernels:
            target.zero_()
            # (gates, directions, h, ...): gate by gate, as the cell cuts them.
            view = target.view(-1, 2, size, *target.shape[1:])
            columns = target.shape[1] if target.dim() == 2 else 0
            recurrent = columns == 2 * size and one.shape[1] == size
            first = view[:, 0, :, :size] if recurrent else view[:, 0]
            second = view[:, 1, :, size:] if recurrent else view[:, 1]
            first.copy_(one.view(-1, size, *one.shape[1:]))
            second.copy_(other.view(-1, size, *other.shape[1:]))
    return both


def _run(layer: PackedLayer, gates: Tensor) -> Tensor:
    """Hidden states (S, N, h) after each step, from zeros, for the inputs' gates (S, N, G)."""
    outputs = gates.new_empty(*gates.shape[:2], layer.size)
    carry = gates.new_zeros(gates.shape[1], layer.size)
    hidden = narrow(carry, layer.precision)
    for step, given in enumerate(gates.unbind(0)):
        output, carry = layer.step([], hidden, carry, given)
        outputs[step] = output
        hidden = narrow(output, layer.precision)
    return outputs


def _reversal(lengths: Tensor, steps: int) -> Tensor:
    """(S, N) positions in the flat S*N that turn each sentence round inside its length."""
    position = torch.arange(steps, device=lengths.device).unsqueeze(1)
    within = torch.where(position < lengths, lengths - 1 - position, position)
    return within * len(lengths) + torch.arange(len(lengths), device=lengths.device)
