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
from model.network.seq2seq import Seq2Seq


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
        pairs = zip(encoder.forwards, encoder.backwards, strict=True)
        self._layers = [
            (PackedLayer(ahead, precision, []), PackedLayer(back, precision, []))
            for ahead, back in pairs
        ]
        self._table = torch.cat([gate_table(embedding, x, precision) for x in self._layers[0]], 1)
        self._inputs = [
            Product(
                torch.cat([ahead.input_weight, back.input_weight]),
                torch.cat([ahead.input_bias, back.input_bias]),
                precision,
                [(self._size, float(number))],
            )
            for number, (ahead, back) in enumerate(self._layers[1:], start=1)
        ]

    def __call__(self, src: Tensor, lengths: Tensor) -> Tensor:
        """Encoder outputs (N, S, H), fp32, for `src` (N, S); meaningless but finite at padding."""
        if not self._int8:
            embedded = self._embedding.index_select(0, src.flatten()).view(*src.shape, -1)
            return torch.as_tensor(self._encoder(embedded, lengths)).float()
        size = src.shape[1]
        steps = int(lengths.max())
        turned = _reversal(lengths, steps)
        gates = self._table.index_select(0, src[:, :steps].t().flatten()).float()
        outputs = self._layer(0, gates, turned)
        for number, product in enumerate(self._inputs, start=1):
            gates = product(narrow(outputs.flatten(0, 1), "int8", float(number)))
            outputs = outputs + self._layer(number, gates, turned)
        return F.pad(outputs.transpose(0, 1), (0, 0, 0, size - steps)).contiguous()

    def _layer(self, number: int, gates: Tensor, turned: Tensor) -> Tensor:
        """Outputs (S, N, H) of a layer whose inputs give `gates` (S*N, 2G)."""
        ahead, back = self._layers[number]
        ahead_gates, back_gates = gates.chunk(2, dim=1)
        count = turned.shape[1]
        order = turned.flatten()
        one = _run(ahead, ahead_gates.reshape(-1, count, ahead_gates.shape[1]), self._size // 2)
        given = back_gates.index_select(0, order).view(-1, count, back_gates.shape[1])
        other = _run(back, given, self._size // 2).flatten(0, 1).index_select(0, order)
        return torch.cat([one, other.view_as(one)], dim=2)


def _run(layer: PackedLayer, gates: Tensor, size: int) -> Tensor:
    """Hidden states (S, N, h) after each step, from zeros, for the inputs' gates (S, N, G)."""
    outputs = gates.new_empty(*gates.shape[:2], size)
    carry = gates.new_zeros(gates.shape[1], size)
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
