"""Truncated back-propagation through time: a recurrent layer in chunks, for training on long input.

The state is carried from chunk to chunk, so the outputs are those of the whole sequence. Gradients
end where a chunk begins (Williams & Peng 1990, BPTT(h; h') with h = h', the size of a chunk): what a
state owes to earlier chunks gets none through the recurrence. The way through the attention is
whole: every output has its own gradient.

Between the passes nothing is kept but the input, the outputs and the state before each chunk. The
backward pass computes each chunk again (Chen et al. 2016, sublinear memory), so that what a layer
keeps for its gradients is there for one chunk at a time.
"""

# Shapes: N sentences, S source length, C pieces of a chunk, I input size, D state size.

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from model.network.cells import RecurrentLayer
from model.network.memory import chunks


class _Rows:
    """Parts of the N*S rows of a tensor (N, S, X), in an order of each sentence's own."""

    def __init__(self, order: Tensor | None, sentences: int) -> None:
        self.order = None if order is None else order.view(sentences, -1)

    def read(self, x: Tensor, part: slice) -> Tensor:
        """The part (N, C, X)."""
        if self.order is None:
            return x[:, part]
        rows = self.order[:, part]
        return x.flatten(0, 1).index_select(0, rows.flatten()).view(*rows.shape, x.shape[2])

    def write(self, x: Tensor, part: slice, values: Tensor) -> None:
        """Set the part to `values` (N, C, X)."""
        if self.order is None:
            x[:, part] = values
        else:
            places = self.order[:, part].flatten()
            x.view(-1, x.shape[2]).index_copy_(0, places, values.flatten(0, 1))


class _TruncatedSequence(torch.autograd.Function):
    """`truncated_sequence`. The layer's parameters are arguments, so that they get gradients."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        layer: RecurrentLayer,
        order: Tensor | None,
        chunk: int,
        *parameters: Tensor,
    ) -> Tensor:
        rows = _Rows(order, len(x))
        states: list[Tensor | None] = []
        hidden: Tensor | None = None
        cell: Tensor | None = None
        outputs: Tensor | None = None
        for part in chunks(x.shape[1], chunk):
            states += [hidden, cell]
            values, hidden, cell = layer.sequence_and_state(rows.read(x, part), hidden, cell)
            if outputs is None:
                outputs = values.new_empty(*x.shape[:2], values.shape[2])
            rows.write(outputs, part, values)
        assert outputs is not None
        ctx.save_for_backward(x, order, *states)
        device = x.device.type
        ctx.layer, ctx.chunk = layer, chunk  # type: ignore[attr-defined]
        ctx.autocast = (  # type: ignore[attr-defined]
            torch.is_autocast_enabled(device),
            torch.get_autocast_dtype(device),
        )
        return outputs

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, order, *states = ctx.saved_tensors  # type: ignore[attr-defined]
        layer, chunk = ctx.layer, ctx.chunk  # type: ignore[attr-defined]
        enabled, dtype = ctx.autocast  # type: ignore[attr-defined]
        of_x, _, _, _, *of_parameters = ctx.needs_input_grad  # type: ignore[attr-defined]
        rows = _Rows(order, len(x))
        given = zip(layer.kernel.parameters(), of_parameters, strict=True)
        trained = [parameter for parameter, needed in given if needed]
        sums = [torch.zeros_like(parameter) for parameter in trained]
        grad_x = torch.empty_like(x, memory_format=torch.contiguous_format) if of_x else None
        for number, part in enumerate(chunks(x.shape[1], chunk)):
            hidden, cell = states[2 * number : 2 * number + 2]
            own = rows.read(x, part).detach().requires_grad_(of_x)
            with torch.enable_grad(), torch.autocast(x.device.type, dtype=dtype, enabled=enabled):
                values = layer.sequence(own, hidden, cell)
            wanted = [own, *trained] if of_x else trained
            found = torch.autograd.grad(values, wanted, rows.read(gradients[0], part))
            if grad_x is not None:
                first, *found = found
                rows.write(grad_x, part, first)
            for total, gradient in zip(sums, found, strict=True):
                total += gradient
        each = iter(sums)
        return (
            grad_x,
            None,
            None,
            None,
            *(next(each) if needed else None for needed in of_parameters),
        )


def truncated_sequence(
    layer: RecurrentLayer, x: Tensor, order: Tensor | None, chunk: int
) -> Tensor:
    """Outputs (N, S, D) of `layer` for x (N, S, I), with gradients that end where a chunk begins.

    Args:
        order: a permutation (N*S,) by which the layer reads the rows of x, each sentence's within
            itself, such as `model.network.encoder.reversal`; the outputs are in the order of x.
            In that order chunks are counted, so that they begin at the end of each sentence
            whatever the padding. None: from the start.
        chunk: C.
    """
    outputs = _TruncatedSequence.apply(  # type: ignore[no-untyped-call]
        x, layer, order, chunk, *layer.kernel.parameters()
    )
    return torch.as_tensor(outputs)
