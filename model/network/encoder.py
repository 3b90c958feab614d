"""Encoder: a stack of bidirectional recurrent layers that keeps the hidden state of every timestep.

Each direction is a unidirectional fused kernel over the padded batch. For the backward direction
every sentence is reversed within its own length, run, and reversed back: padding stays after the
real tokens in both directions and never affects a real state, without packed sequences.
"""

# Shapes: N sentences, S source length, I input size, H encoder output size.

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from model.config import ModelConfig
from model.network.cells import RecurrentLayer
from model.network.dropout import Dropout
from model.network.truncated_bptt import truncated_layer


def reversal(lengths: Tensor, size: int) -> Tensor:
    """Row permutation (N*S,) that reverses each sentence within its length and keeps the padding.

    It is its own inverse. `lengths` is (N,), `size` is S.
    """
    position = torch.arange(size, device=lengths.device).expand(len(lengths), size)
    length = lengths.unsqueeze(1)
    within = torch.where(position < length, length - 1 - position, position)
    start = torch.arange(len(lengths), device=lengths.device).unsqueeze(1) * size
    return (start + within).flatten()


class _Permute(torch.autograd.Function):
    """Permute the N*S rows of x (N, S, I) by an involution; so does its gradient.

    `index_select` alone would accumulate its gradient row by row, many times slower.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, permutation: Tensor) -> Tensor:
        ctx.save_for_backward(permutation)
        return x.reshape(-1, x.shape[-1]).index_select(0, permutation).view(x.shape)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        (permutation,) = ctx.saved_tensors  # type: ignore[attr-defined]
        (gradient,) = gradients
        rows = gradient.reshape(-1, gradient.shape[-1])
        return rows.index_select(0, permutation).view(gradient.shape), None


def reverse(x: Tensor, permutation: Tensor) -> Tensor:
    """x (N, S, I) with each sentence reversed by the permutation of `reversal`."""
    return torch.as_tensor(_Permute.apply(x, permutation))  # type: ignore[no-untyped-call]


class Encoder(nn.Module):
    """Maps embedded pieces (N, S, E) to outputs (N, S, H), with residuals from layer 2 on."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        inputs = [config.embedding_size] + [config.encoder_size] * (config.encoder_layers - 1)
        self.bidirectional = config.bidirectional
        one = config.encoder_size // 2 if self.bidirectional else config.encoder_size

        def layers(inputs: Sequence[int]) -> Sequence[RecurrentLayer]:
            stack = nn.ModuleList(RecurrentLayer(config.cell, size, one) for size in inputs)
            return cast(Sequence[RecurrentLayer], stack)

        self.forwards = layers(inputs)
        self.backwards = layers(inputs if self.bidirectional else [])
        self.dropout = Dropout(config.dropout)
        self.truncated_bptt = 0
        """Pieces of a chunk in training, see `model.network.truncated_bptt`; 0: not in chunks."""

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Encoder outputs (N, S, H) for `embedded` (N, S, E) and `lengths` (N,).

        Values at padding are finite but meaningless: the mask keeps them out of the attention.
        """
        if not self.bidirectional:
            return self._ahead(embedded)
        permutation = reversal(lengths, embedded.shape[1])
        outputs = embedded
        for number, (ahead, back) in enumerate(zip(self.forwards, self.backwards, strict=True)):
            x = self.dropout(outputs) if number else outputs
            both = self._both(ahead, back, x, permutation)
            outputs = outputs + both if number else both
        return outputs

    def _ahead(self, embedded: Tensor) -> Tensor:
        """Outputs (N, S, H) of layers that only read forwards: at no step they know a later one."""
        outputs = embedded
        for number, layer in enumerate(self.forwards):
            x = layer.sequence(self.dropout(outputs) if number else outputs)
            outputs = outputs + x if number else x
        return outputs

    def _both(
        self, ahead: RecurrentLayer, back: RecurrentLayer, x: Tensor, permutation: Tensor
    ) -> Tensor:
        """Outputs (N, S, H) of a layer, both directions, for x (N, S, I)."""
        chunk = self.truncated_bptt
        if 0 < chunk < x.shape[1] and torch.is_grad_enabled():
            return truncated_layer(ahead, back, x, permutation, chunk)
        reversed_outputs = back.sequence(reverse(x, permutation))
        return torch.cat([ahead.sequence(x), reverse(reversed_outputs, permutation)], dim=-1)
