"""Trace: the gates and states of every layer while a source is read and a target is written.

Everything is computed by the cells' equations, one piece after the other, as textbooks draw it: a
chain of steps of the same cell with the same weights. The states are those of the encoder and the
decoder, which compute the same in another order; tests hold them equal in float64.
"""

# Shapes: S source length with EOS, T target length with EOS, I input size, E embedding, H encoder
# output size, D size of the states of a layer, F feature size.

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from model.network.cells import RecurrentLayer, linear
from model.network.decoder import Decoder, DecoderState, with_weights
from model.network.encoder import Encoder
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import BOS_ID, EOS_ID


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerTrace:
    """One layer in one direction: its gates and states after each step.

    Row t belongs to piece t of the text, whatever the direction: the backward layer begins with the
    last row.
    """

    part: Literal["encoder", "decoder"]
    layer: int
    """From 1, which is next to the embeddings."""
    direction: Literal["forward", "backward"]
    inputs: int
    """Width of what the layer reads at each step."""
    gates: dict[str, Tensor]
    """(S, D) or (T, D) for each of `model.network.cells.GATES`."""
    hidden: Tensor
    """(S, D) or (T, D)."""
    cell: Tensor | None
    """(S, D) or (T, D); only an LSTM has it."""
    first_hidden: Tensor
    """(D,) the state before the first step: zeros in the encoder."""
    first_cell: Tensor | None
    """(D,) likewise; only an LSTM has it."""

    @property
    def values(self) -> dict[str, Tensor]:
        """Gates, cell and hidden state by their names, in the order in which they are computed."""
        cell = {} if self.cell is None else {"cell": self.cell}
        return {**self.gates, **cell, "hidden": self.hidden}


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """All layers of both parts, and what the decoder made of them at each step."""

    layers: tuple[LayerTrace, ...]
    """Those of the encoder, then those of the decoder, from the lowest layer up."""
    encoder_outputs: Tensor
    """(S, H) what the decoder attends to."""
    attention: Tensor
    """(T, S) the weights of each step."""
    attentional: Tensor
    """(T, D) with input feeding, else (T, F): the vectors that the output layer reads, or before
    they are narrowed to F."""


class _Steps:
    """The gates and states of one layer, collected while it is stepped through."""

    def __init__(self, layer: RecurrentLayer, hidden: Tensor, cell: Tensor) -> None:
        """`hidden` (1, D) and `cell` (1, D), or (1, 0) if the layer has none: before all steps."""
        self._layer, self.hidden, self.cell = layer, hidden, cell
        self._first = hidden, cell
        self._gates: list[dict[str, Tensor]] = []
        self._states: list[tuple[Tensor, Tensor]] = []

    def step(self, x: Tensor) -> Tensor:
        """The next hidden state (1, D), for x (1, I)."""
        self._gates.append(self._layer.gates(x, self.hidden, self.cell))
        self.hidden, self.cell = self._layer.step(x, self.hidden, self.cell)
        self._states.append((self.hidden, self.cell))
        return self.hidden

    def traced(
        self,
        part: Literal["encoder", "decoder"],
        number: int,
        direction: Literal["forward", "backward"] = "forward",
    ) -> LayerTrace:
        """All steps so far, in the order of the text."""
        order = slice(None) if direction == "forward" else slice(None, None, -1)
        gates, states = self._gates[order], self._states[order]
        has_cell = self._layer.kind == "lstm"
        hidden, cell = self._first
        return LayerTrace(
            part=part,
            layer=number,
            direction=direction,
            inputs=self._layer.kernel.input_size,
            gates={name: torch.cat([each[name] for each in gates]) for name in gates[0]},
            hidden=torch.cat([each for each, _ in states]),
            cell=torch.cat([each for _, each in states]) if has_cell else None,
            first_hidden=hidden[0],
            first_cell=cell[0] if has_cell else None,
        )


@torch.inference_mode()
def trace(network: Seq2Seq, src: Sequence[int], tgt: Sequence[int]) -> Trace:
    """Trace a source and a target, piece ids without BOS and EOS.

    It takes time and memory in proportion to both: for texts of sentences, not of documents.

    Args:
        network: a single one, in eval mode.
    """
    ids = torch.tensor([[*src, EOS_ID]], device=network.device)
    embedded = network.source_embedding(ids[0]) * network.input_scale
    encoder_layers, outputs = _encoder(network.encoder, embedded)
    values = outputs.unsqueeze(0)
    keys = network.decoder.attention.keys(values)
    memory = Memory(src=ids, values=values, keys=keys, mask=torch.ones_like(ids, dtype=torch.bool))
    tgt_in = torch.tensor([BOS_ID, *tgt], device=network.device)
    embedded = network.target_embedding(tgt_in) * network.input_scale
    decoder_layers, attention, attentional = _decoder(network.decoder, embedded, memory)
    return Trace(
        layers=(*encoder_layers, *decoder_layers),
        encoder_outputs=outputs,
        attention=attention,
        attentional=attentional,
    )


def _encoder(encoder: Encoder, embedded: Tensor) -> tuple[list[LayerTrace], Tensor]:
    """All layers, and the encoder's outputs (S, H), for embedded pieces (S, E)."""
    found: list[LayerTrace] = []
    outputs = embedded
    for number, pair in enumerate(zip(encoder.forwards, encoder.backwards, strict=True), start=1):
        ahead, back = (_from_zeros(layer, embedded) for layer in pair)
        pieces = torch.split(outputs, 1)
        for x in pieces:
            ahead.step(x)
        for x in reversed(pieces):
            back.step(x)
        found += [
            ahead.traced("encoder", number),
            back.traced("encoder", number, "backward"),
        ]
        both = torch.cat([each.hidden for each in found[-2:]], dim=-1)
        outputs = both if number == 1 else outputs + both
    return found, outputs


def _from_zeros(layer: RecurrentLayer, like: Tensor) -> _Steps:
    zeros = like.new_zeros(1, layer.hidden_size)
    return _Steps(layer, zeros, zeros if layer.kind == "lstm" else zeros[:, :0])


def _decoder(
    decoder: Decoder, embedded: Tensor, memory: Memory
) -> tuple[list[LayerTrace], Tensor, Tensor]:
    """All layers, the attention (T, S) and the attentional vectors, for embedded pieces (T, E)."""
    state = decoder.start(memory)
    layers = [
        _Steps(layer, state.hidden[:, number], state.cell[:, number])
        for number, layer in enumerate(decoder.layers)
    ]
    weights, vectors = [], []
    for x in torch.split(embedded, 1):
        state, weight, vector = _decoder_step(decoder, layers, x, state, memory)
        weights.append(weight)
        vectors.append(vector)
    found = [steps.traced("decoder", number) for number, steps in enumerate(layers, start=1)]
    return found, torch.cat(weights), torch.cat(vectors)


def _decoder_step(
    decoder: Decoder, layers: Sequence[_Steps], x: Tensor, state: DecoderState, memory: Memory
) -> tuple[DecoderState, Tensor, Tensor]:
    """What `Decoder.step` does, for one row: the next state, weights (1, S) and vector.

    Of the state only what lies outside the layers is used: the attentional vector and the coverage.
    """
    context: Tensor | None = None
    attended = state.coverage.unsqueeze(1)
    if decoder.input_feeding:
        x = torch.cat([x, state.attentional], dim=-1)
    top = layers[0].step(x)
    if not decoder.input_feeding:
        context, weights = _attend(decoder, top, memory, attended)
    for steps in layers[1:]:
        top = top + steps.step(top if context is None else torch.cat([top, context], dim=-1))
    if context is None:
        context, weights = _attend(decoder, top, memory, attended)
    combine = decoder.combine
    vector = linear(torch.cat([top, context], dim=-1), combine.weight, combine.bias).tanh()
    state = state._replace(
        attentional=vector if decoder.input_feeding else state.attentional,
        coverage=with_weights(state.coverage, weights.unsqueeze(0)),
    )
    return state, weights, vector


def _attend(
    decoder: Decoder, query: Tensor, memory: Memory, attended: Tensor
) -> tuple[Tensor, Tensor]:
    """Context (1, H) and weights (1, S) for a query (1, D)."""
    context, weights = decoder.attention(query.unsqueeze(1), memory, attended)
    return context[0], weights[0]
