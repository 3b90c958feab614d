"""Decoder: a pure step, and the same function unrolled over a whole target.

Default wiring (Luong 2015, 3.3): the attentional vector re-enters layer 1 ("input feeding") and the
top layer is the attention query; a known target is run step by step. Without input feeding (as in
GNMT v2) layer 1 reads only the previous piece, its output is the query, and the context enters
every upper layer and the output: there is no recurrence through the attention, so a known target
is run layer by layer in one fused call each.
"""

# Shapes: N sentences, K hypotheses, R = N*K rows, T target length, S source length, L layers,
# E embedding, H encoder output size, D decoder size, F feature size.

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.config import ModelConfig
from model.network.aligned_attention import AlignedAttention
from model.network.attention import Attention
from model.network.cells import RecurrentLayer, fill_rows, linear
from model.network.dropout import Dropout
from model.network.first_state import make_first_state
from model.network.memory import Memory


class DecoderState(NamedTuple):
    """The state between two target steps. Dimension 0 of every field is the row."""

    hidden: Tensor  # (R, L, D)
    cell: Tensor  # (R, L, D), at least fp32; (R, L, 0) if the cells have none
    attentional: Tensor  # (R, D) with input feeding, else (R, 0)
    coverage: Tensor  # (R, S) sum of the past attention weights with `coverage`, else (R, 0);
    # (R, 1) the steps so far with aligned attention

    def select(self, rows: Tensor) -> "DecoderState":
        """The states of `rows` (R',), in that order, possibly repeated."""
        return DecoderState(*(field.index_select(0, rows) for field in self))

    def filled(self) -> "DecoderState":
        """With rows filled up as in `linear`, but for the coverage, which may be long."""
        return DecoderState(
            fill_rows(self.hidden),
            fill_rows(self.cell),
            fill_rows(self.attentional),
            self.coverage,
        )


def mean_values(memory: Memory) -> Tensor:
    """The mean (N, H) of the encoder outputs of each sentence without padding, summed in fp32."""
    wide = torch.promote_types(memory.values.dtype, torch.float32)
    if memory.is_long:
        total = memory.values.new_zeros(len(memory.values), memory.values.shape[2], dtype=wide)
        # In place: results of all blocks, kept until the end, would lie in the heap between the
        # freed blocks, which then may not be used again.
        for _, part in memory.blocks():
            total += (part.mask.unsqueeze(1).to(wide) @ part.values.to(wide)).squeeze(1)
    else:
        total = (memory.values * memory.mask.unsqueeze(2)).sum(dim=1, dtype=wide)
    return (total / memory.mask.sum(dim=1, keepdim=True)).to(memory.values.dtype)


def with_weights(coverage: Tensor, weights: Tensor) -> Tensor:
    """`coverage` (R, S) after a step with `weights` (N, K, S); (R, 0) if nothing reads it."""
    return coverage + weights.flatten(0, 1) if coverage.shape[1] else coverage


class Decoder(nn.Module):
    """Maps embedded target pieces to features for the output layer, which predicts the next."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size, context = config.decoder_size, config.encoder_size
        self.input_feeding = config.input_feeding
        self.coverage = config.coverage
        self.kind = config.cell
        first = config.embedding_size + (size if self.input_feeding else 0)
        upper = size + (0 if self.input_feeding else context)
        inputs = [first] + [upper] * (config.decoder_layers - 1)
        layers = nn.ModuleList(RecurrentLayer(config.cell, i, size) for i in inputs)
        self.layers = cast(Sequence[RecurrentLayer], layers)
        aligned = config.attention == "aligned"
        self.attention = AlignedAttention(config) if aligned else Attention(config)
        self.bridge = make_first_state(config)
        # The fed-back vector is as wide as the decoder, features as wide as the output matrix.
        features = config.embedding_size if config.tie_embeddings else size
        self.combine = nn.Linear(size + context, size if self.input_feeding else features)
        self.narrow = nn.Linear(size, features) if self.input_feeding and features != size else None
        self.dropout = Dropout(config.dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set Xavier-uniform weights and zero biases in everything but the recurrent layers."""
        for module in (self.bridge, self.combine, self.narrow):
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def start(self, memory: Memory) -> DecoderState:
        """The state before the first piece, R = N: tanh of the projected mean of the memory.

        The mean is without padding. One projection gives hidden and cell of every layer. Other
        first states: see `model.network.first_state`.
        """
        wide = torch.promote_types(memory.values.dtype, torch.float32)
        mean = mean_values(memory)
        state = torch.as_tensor(self.bridge(mean))
        hidden, cell = state.view(len(state), 2, len(self.layers), -1).unbind(1)
        width = self.layers[0].hidden_size
        return DecoderState(
            hidden=hidden,
            cell=cell.to(wide) if self.kind == "lstm" else cell[..., :0],
            attentional=hidden.new_zeros(len(hidden), width if self.input_feeding else 0),
            coverage=mean.new_zeros(len(hidden), self._past_width(memory), dtype=wide),
        )

    def step(
        self,
        embedded: Tensor,
        state: DecoderState,
        memory: Memory,
        masks: Sequence[Tensor] | None = None,
    ) -> tuple[DecoderState, Tensor, Tensor]:
        """Process one target piece for every row.

        Args:
            embedded: (N, K, E) the previous pieces.
            state: R = N*K rows, the hypotheses of a sentence side by side.
            memory: that of the N sentences.
            masks: dropout masks, (R, D) for each layer above the first and for the attentional
                vector; drawn for this step alone if None.

        Returns:
            The next state, features (N, K, F) and attention weights (N, K, S).
        """
        sentences, queries, _ = embedded.shape
        rows = sentences * queries
        x = embedded.flatten(0, 1)
        if not torch.is_grad_enabled():
            x, state = fill_rows(x), state.filled()
            masks = None if masks is None else [fill_rows(mask) for mask in masks]
        if self.input_feeding:
            x = torch.cat([x, state.attentional], dim=-1)
        top, cell = self.layers[0].step(x, state.hidden[:, 0], state.cell[:, 0])
        hidden, cells = [top], [cell]
        context: Tensor | None = None
        attended = state.coverage[:rows].view(sentences, queries, state.coverage.shape[1])
        if not self.input_feeding:
            context, weights = self._attend(top, memory, attended)
        for number, layer in enumerate(self.layers[1:], start=1):
            below = top if context is None else torch.cat([top, context], dim=-1)
            output, cell = layer.step(
                self._dropped(below, number - 1, masks),
                state.hidden[:, number],
                state.cell[:, number],
            )
            hidden.append(output)
            cells.append(cell)
            top = top + output
        if context is None:
            context, weights = self._attend(top, memory, attended)
        combined = torch.cat([top, context], dim=-1)
        vector = linear(combined, self.combine.weight, self.combine.bias).tanh()
        vector = self._dropped(vector, len(self.layers) - 1, masks)
        state = DecoderState(
            hidden=torch.stack(hidden, dim=1)[:rows],
            cell=torch.stack(cells, dim=1)[:rows],
            attentional=(vector if self.input_feeding else state.attentional)[:rows],
            coverage=with_weights(state.coverage[:rows], weights),
        )
        features = self._features(vector)[:rows]
        return state, features.reshape(sentences, queries, -1), weights

    def unroll(
        self, embedded: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[Tensor, Tensor]:
        """Features (N, T, F) and weights (N, T, S) for a known target, embedded (N, T, E).

        Equal to T calls of `step` with one hypothesis per sentence.
        """
        if self.input_feeding:
            return self._unroll_by_steps(embedded, state, memory)
        top = self.layers[0].sequence(embedded, state.hidden[:, 0], state.cell[:, 0])
        context, weights = self._attend_in_order(top, memory, state.coverage)
        for number, layer in enumerate(self.layers[1:], start=1):
            below = self.dropout(torch.cat([top, context], dim=-1))
            top = top + layer.sequence(below, state.hidden[:, number], state.cell[:, number])
        vector = self.combine(torch.cat([top, context], dim=-1)).tanh()
        return self._features(self.dropout(vector)), weights

    def _unroll_by_steps(
        self, embedded: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[Tensor, Tensor]:
        features, weights = [], []
        masks = None
        if self.dropout.active and self.dropout.over_time:
            size = len(embedded), self.layers[0].hidden_size
            masks = [self.dropout.mask(size, embedded) for _ in self.layers]
        for piece in embedded.unbind(1):
            state, feature, weight = self.step(piece.unsqueeze(1), state, memory, masks)
            features.append(feature)
            weights.append(weight)
        return torch.cat(features, dim=1), torch.cat(weights, dim=1)

    def _past_width(self, memory: Memory) -> int:
        """How many numbers the attention reads of its past weights."""
        if isinstance(self.attention, AlignedAttention):
            return 1
        return memory.src.shape[1] if self.coverage else 0

    def _dropped(self, x: Tensor, number: int, masks: Sequence[Tensor] | None) -> Tensor:
        return self.dropout(x) if masks is None else x * masks[number].to(x.dtype)

    def _attend_in_order(
        self, query: Tensor, memory: Memory, attended: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Context (N, T, H) and weights (N, T, S) for queries (N, T, D) of one hypothesis each.

        With coverage one after another, starting from `attended` (N, S), else all at once.
        """
        if not self.coverage:
            context, weights = self.attention(query, memory)
            return context, weights
        contexts, all_weights = [], []
        for one in torch.split(query, 1, dim=1):
            context, weights = self.attention(one, memory, attended.unsqueeze(1))
            attended = attended + weights.squeeze(1)
            contexts.append(context)
            all_weights.append(weights)
        return torch.cat(contexts, dim=1), torch.cat(all_weights, dim=1)

    def _attend(self, query: Tensor, memory: Memory, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Context (R, H) and weights (N, K, S) for queries (R, D), which may be filled up.

        `attended` is (N, K, S) with coverage, else (N, K, 0).
        """
        sentences, queries, _ = attended.shape
        rows = sentences * queries
        context, weights = self.attention(
            query[:rows].view(sentences, queries, -1), memory, attended
        )
        context = context.flatten(0, 1)
        return F.pad(context, (0, 0, 0, len(query) - rows)), weights

    def _features(self, vector: Tensor) -> Tensor:
        if self.narrow is None:
            return vector
        if vector.dim() == 2:
            return linear(vector, self.narrow.weight, self.narrow.bias)
        return F.linear(vector, self.narrow.weight, self.narrow.bias)
