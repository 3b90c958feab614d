"""Truncated back-propagation through time: a recurrent layer in chunks, for training on long input.

The state is carried from chunk to chunk, so the outputs are those of the whole sequence. Gradients
end where a chunk begins (Williams & Peng 1990): none reaches an earlier chunk through the state.
That of each output is whole, wherever in the source it is: the attention is not truncated.

Between the passes nothing is kept but the input, the outputs and the state before each chunk. The
backward pass computes each chunk again (Chen et al. 2016, sublinear memory), so that what a layer
keeps for its gradients is there for one chunk at a time.
"""

# Shapes: N sentences, S source length, C pieces of a chunk, I input size, D state size.

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from model.network.cells import RecurrentLayer
from model.network.memory import chunks


class _Direction(NamedTuple):
    """One direction of a bidirectional layer, and the order in which it reads the N*S rows."""

    layer: RecurrentLayer
    order: Tensor | None
    """(N, S) places among all rows, of each sentence its own; None: from the start."""

    def read(self, x: Tensor, part: slice) -> Tensor:
        """The part (N, C, X) of x (N, S, X)."""
        if self.order is None:
            return x[:, part]
        rows = self.order[:, part]
        return x.flatten(0, 1).index_select(0, rows.flatten()).view(*rows.shape, x.shape[2])

    def add(self, x: Tensor, part: slice, values: Tensor) -> None:
        """Add `values` (N, C, X) to the part of x (N, S, X)."""
        if self.order is None:
            x[:, part] += values
        else:
            x.flatten(0, 1).index_add_(0, self.order[:, part].flatten(), values.flatten(0, 1))


def _directions(ahead: RecurrentLayer, back: RecurrentLayer, order: Tensor) -> list[_Direction]:
    return [_Direction(ahead, None), _Direction(back, order)]


class _TruncatedLayer(torch.autograd.Function):
    """`truncated_layer`. The parameters are arguments, so that they get gradients."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        ahead: RecurrentLayer,
        back: RecurrentLayer,
        order: Tensor,
        chunk: int,
        *parameters: Tensor,
    ) -> Tensor:
        outputs: Tensor | None = None
        states: list[Tensor | None] = []
        for number, direction in enumerate(_directions(ahead, back, order)):
            hidden: Tensor | None = None
            cell: Tensor | None = None
            for part in chunks(x.shape[1], chunk):
                states += [hidden, cell]
                own = direction.read(x, part)
                values, hidden, cell = direction.layer.sequence_and_state(own, hidden, cell)
                if outputs is None:
                    outputs = values.new_zeros(*x.shape[:2], 2 * values.shape[2])
                direction.add(outputs.chunk(2, dim=2)[number], part, values)
        assert outputs is not None, "a source has at least one piece"
        device = x.device.type
        cast = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
        ctx.save_for_backward(x, order, *states)  # type: ignore[arg-type]
        ctx.ahead, ctx.back, ctx.chunk, ctx.cast = ahead, back, chunk, cast  # type: ignore[attr-defined]
        return outputs

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, order, *states = ctx.saved_tensors  # type: ignore[attr-defined]
        of_x, _, _, _, _, *needed = ctx.needs_input_grad  # type: ignore[attr-defined]
        grad_x = torch.zeros_like(x, memory_format=torch.contiguous_format) if of_x else None
        found: list[Tensor | None] = []
        both = _directions(ctx.ahead, ctx.back, order)  # type: ignore[attr-defined]
        for number, direction in enumerate(both):
            parameters = list(direction.layer.kernel.parameters())
            own = needed[len(found) : len(found) + len(parameters)]
            trained = list(compress(parameters, own))
            sums = [torch.zeros_like(parameter) for parameter in trained]
            if sums or of_x:
                half = len(states) // 2
                _add_gradients(
                    direction,
                    x,
                    gradients[0].chunk(2, dim=2)[number],
                    states[number * half : (number + 1) * half],
                    ctx.chunk,  # type: ignore[attr-defined]
                    ctx.cast,  # type: ignore[attr-defined]
                    dict(zip(trained, sums, strict=True)),
                    grad_x,
                )
            each = iter(sums)
            found += [next(each) if needs else None for needs in own]
        return grad_x, None, None, None, None, *found


def _add_gradients(
    direction: _Direction,
    x: Tensor,
    above: Tensor,
    states: Sequence[Tensor | None],
    chunk: int,
    cast: tuple[bool, torch.dtype],
    sums: Mapping[Tensor, Tensor],
    grad_x: Tensor | None,
) -> None:
    """Compute one direction again, chunk by chunk, and add up its gradients.

    Args:
        above: (N, S, D) the gradients of its outputs.
        states: hidden and cell before each chunk.
        cast: whether the outputs were computed under autocast, and its dtype.
        sums: of each parameter that needs a gradient, what is added to.
        grad_x: (N, S, I) likewise, if x needs one.
    """
    for number, part in enumerate(chunks(x.shape[1], chunk)):
        hidden, cell = states[2 * number : 2 * number + 2]
        own = direction.read(x, part).detach().requires_grad_(grad_x is not None)
        with (
            torch.enable_grad(),
            torch.autocast(x.device.type, dtype=cast[1], enabled=cast[0]),
        ):
            values = direction.layer.sequence(own, hidden, cell)
        wanted = [*sums, own] if grad_x is not None else [*sums]
        found = torch.autograd.grad(values, wanted, direction.read(above, part))
        for total, gradient in zip(sums.values(), found, strict=False):
            total += gradient
        if grad_x is not None:
            direction.add(grad_x, part, found[-1])


def truncated_layer(
    ahead: RecurrentLayer, back: RecurrentLayer, x: Tensor, order: Tensor, chunk: int
) -> Tensor:
    """Outputs (N, S, 2 D) of both directions for x (N, S, I); gradients end where a chunk begins.

    Args:
        order: the permutation (N*S,) by which `back` reads the rows of x, each sentence's from its
            last piece on (`model.network.encoder.reversal`); the outputs are in the order of x. Its
            chunks are counted from there, so what a sentence learns does not depend on padding.
        chunk: C.
    """
    parameters = [*ahead.kernel.parameters(), *back.kernel.parameters()]
    outputs = _TruncatedLayer.apply(  # type: ignore[no-untyped-call]
        x, ahead, back, order.view(x.shape[:2]), chunk, *parameters
    )
    return torch.as_tensor(outputs)
