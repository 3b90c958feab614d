"""NativeNetwork: the network in int8 on a CPU, for rows in buffers that are allocated once.

It computes the same function as `Seq2Seq`, to which tests compare it, with a dozen kernel calls per
step. Every row is computed by itself: its bits do not depend on other rows.
"""

# Shapes: N sentences, R rows (hypotheses that are alive), M rows of state, S source length with
# EOS, L layers, D decoder size, F feature size, H encoder output size, A attention size,
# P rows of attention weights, V vocabulary.

import copy
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from model.config import ModelConfig
from model.decoding.native.attention import (
    AttentionBuffers,
    NativeMemory,
    attend,
    scores_by_product,
    scores_by_sum,
)
from model.decoding.native.cells import Gates, LayerState, Target, add_table
from model.decoding.native.compiled import bound
from model.decoding.native.coverage import add_coverage, follow_coverage
from model.decoding.native.encoder import NativeEncoder
from model.decoding.native.int8_rows import (
    STEPS,
    Parts,
    combined_inputs,
    context,
    decoder_inputs,
)
from model.decoding.native.layer import Layer
from model.decoding.native.product import Bytes, Floats, Int8Product
from model.decoding.native.rows import place_narrow, place_rows, place_tanh
from model.decoding.native.step_rows import StepRows
from model.network.first_state import NO_VECTORS, Bridge
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID


@dataclass(frozen=True, slots=True)
class NativeEncoded:
    """An encoded sentence: its memory, and the first state of the decoder."""

    values: Floats
    """(S, H)"""
    keys: Floats
    """(S, A)"""
    hidden: Bytes
    """(L, D)"""
    carry: Floats
    """(L, D)"""


@dataclass(frozen=True, slots=True)
class NativeState:
    """What a step hands to the next one."""

    layers: list[LayerState]
    attentional: Bytes
    """(M, F) the features of the step, which input feeding reads."""
    coverage: Floats
    """(M, S) the sums of the past attention weights with coverage, else (M, 0)."""


def has_int8(config: ModelConfig) -> bool:
    """Tell whether all sizes are multiples of 4, as a product reads 4 bytes at once.

    There is none for vectors.
    """
    sizes = (config.encoder_size // 2, config.decoder_size, config.embedding_size)
    return not config.has_vectors and all(size % 4 == 0 for size in sizes)


class Buffers:
    """Intermediate results of a step, for up to `rows` rows and sources of `source` pieces."""

    def __init__(self, network: "NativeNetwork", rows: int, source: int) -> None:
        config, width = network.config, max(layer.gate_width for layer in network.layers)
        size = config.decoder_size
        self.inputs = [np.empty((rows, layer.input_width), np.uint8) for layer in network.layers]
        self.hidden = np.empty((rows, size), np.uint8)
        self.gates = Gates(*(np.empty((rows, width), np.float32) for _ in Gates._fields))
        self.top = np.empty((rows, size), np.float32)
        self.below = np.empty((rows, size), np.uint8)
        self.query = np.empty((rows, network.query_width), np.float32)
        self.attention = AttentionBuffers(
            scores=np.empty((rows, config.attention_heads * source), np.float32),
            sums=np.empty(config.encoder_size, np.float32),
            combined=np.empty((rows, size + config.encoder_size), np.uint8),
        )
        self.vector = np.empty((rows, network.combine.width), np.float32)
        self.own = np.arange(rows, dtype=np.int32)
        self.targets = [Target(self.top, self.own, 0, n > 0) for n in range(len(network.layers))]
        """One for each layer; the outputs of all layers are added up."""


class NativeNetwork:
    """The network, in the form that the native search uses."""

    device = torch.device("cpu")

    def __init__(self, network: Seq2Seq) -> None:
        """Read `network`, which is in eval mode and on any device, without changing it."""
        with torch.no_grad():
            network = copy.deepcopy(network).float().cpu()
            self.config = config = network.config
            decoder, size = network.decoder, config.decoder_size
            attended = context(config)
            self._context_steps = STEPS / config.encoder_layers
            self.encoder = NativeEncoder(network)
            self.layers: list[Layer] = []
            for number, layer in enumerate(decoder.layers):
                self.layers.append(Layer(layer, decoder_inputs(config, number)))
            embedding = network.target_embedding.weight * network.input_scale
            self.table = self.layers[0].table(embedding)
            attention, bridge = decoder.attention, decoder.bridge
            assert isinstance(bridge, Bridge), NO_VECTORS
            self._scale = attention.scale if attention.kind == "general" else 1.0
            self._keys = self._query = None
            if attention.kind != "dot":
                self._keys = _product(attention.key, [attended])
            if attention.kind == "additive":
                self._query = _product(attention.query, [(size, self._query_bound)])
                self._energy = attention.energy.numpy()
            self._coverage = None if attention.coverage is None else float(attention.coverage)
            self.key_width = config.encoder_size if self._keys is None else self._keys.outputs
            self.query_width = size if self._query is None else self._query.width
            self._bridge = _product(bridge, [attended], 2.0)
            self.combine = _product(decoder.combine, combined_inputs(config), 2.0)
            weight, bias = network.output.weight.detach(), network.output.bias.detach()
            if decoder.narrow is not None:  # a linear layer in between is folded into the output
                bias = bias + weight @ decoder.narrow.bias
                weight = weight @ decoder.narrow.weight
            self.copies = network.copy_gate is not None
            if network.copy_gate is not None:  # one more column of the output
                gate, gate_bias = network.copy_gate.weight.detach(), network.copy_gate.bias.detach()
                if decoder.narrow is not None:
                    gate_bias = gate_bias + gate @ decoder.narrow.bias
                    gate = gate @ decoder.narrow.weight
                weight, bias = torch.cat([weight, gate]), torch.cat([bias, gate_bias])
            self.output = Int8Product(weight.numpy(), bias.numpy())
            self.features = weight.shape[1]
        self._bind()

    def _bind(self) -> None:
        """Bind the kernels that take structures to the types of those structures."""
        memory, buffers = self.memory(1, 1), Buffers(self, 1, 1)
        step = StepRows(*(np.zeros(1, np.int32) for _ in StepRows._fields))
        query, scores = buffers.query, buffers.attention.scores
        if self._query is None:
            self._by_product = bound(
                scores_by_product, 1, query, step.sentence, memory, 1.0, scores
            )
        else:
            self._by_sum = bound(
                scores_by_sum, 1, query, step.sentence, memory, self._energy, scores
            )
        self._attend = bound(attend, 1, step, memory, 1.0, buffers.attention, scores)
        if self._coverage is not None:
            self._add_coverage = bound(add_coverage, 1, step, memory, 1.0, scores, scores)
            self._follow_coverage = bound(follow_coverage, 1, step, memory, scores, scores, scores)

    @property
    def _query_bound(self) -> float:
        return float(self.config.decoder_layers) if self.config.input_feeding else 1.0

    def encode(
        self, sources: list[tuple[int, ...]], threads: Executor | None = None
    ) -> list[NativeEncoded]:
        """Compute the memory and the first state of each source, given without EOS."""
        order = sorted(range(len(sources)), key=lambda i: len(sources[i]), reverse=True)
        pieces = [np.array([*sources[i], EOS_ID], dtype=np.int32) for i in order]
        values, starts = self.encoder(pieces, threads)
        keys = values
        if self._keys is not None:
            below = np.empty(values.shape, np.uint8)
            place_narrow(below, 0, values, len(values), self._context_steps)
            keys = np.empty((len(values), self._keys.width), np.float32)
            self._keys(below, len(values), keys)
            keys = np.ascontiguousarray(keys[:, : self._keys.outputs])
        parts = [slice(a, a + len(p)) for a, p in zip(starts.tolist(), pieces, strict=True)]
        hidden, carry = self._start(values, parts)
        found: list[NativeEncoded | None] = [None] * len(sources)
        for row, (number, part) in enumerate(zip(order, parts, strict=True)):
            found[number] = NativeEncoded(values[part], keys[part], hidden[row], carry[row])
        return [encoded for encoded in found if encoded is not None]

    def _start(self, values: Floats, parts: list[slice]) -> tuple[Bytes, Floats]:
        """Return the first hidden and carried states (N, L, D): tanh of the projected mean."""
        means = np.stack([values[part].mean(axis=0, dtype=np.float32) for part in parts])
        below = np.empty(means.shape, np.uint8)
        place_narrow(below, 0, means, len(means), self._context_steps)
        sums = np.empty((len(means), self._bridge.width), np.float32)
        self._bridge(below, len(means), sums)
        with np.errstate(over="ignore"):  # in exp: the state is then -1
            state = 2 / (1 + np.exp(-sums[:, : self._bridge.outputs])) - 1
        hidden, cell = np.split(state.reshape(len(means), 2, len(self.layers), -1), 2, axis=1)
        flat = np.ascontiguousarray(hidden.reshape(-1, hidden.shape[-1]), dtype=np.float32)
        narrow = np.empty(flat.shape, np.uint8)
        place_narrow(narrow, 0, flat, len(flat), float(STEPS))
        carry = {"lstm": cell, "gru": hidden, "rnn": cell[..., :0]}[self.config.cell]
        return narrow.reshape(hidden[:, 0].shape), carry[:, 0].astype(np.float32)

    def state(self, rows: int, source: int) -> NativeState:
        """Return a state of zeros for `rows` rows and sources of up to `source` pieces with EOS."""
        return NativeState(
            [layer.state(rows) for layer in self.layers],
            np.full((rows, self.features), 128, np.uint8),
            np.zeros((rows, 0 if self._coverage is None else source), np.float32),
        )

    def memory(self, slots: int, source: int) -> NativeMemory:
        """Return an empty memory for `slots` sentences of up to `source` pieces with EOS."""
        return NativeMemory(
            values=np.zeros((slots, source, self.config.encoder_size), np.float32),
            keys=np.zeros((slots, source, self.key_width), np.float32),
            length=np.zeros(slots, np.int32),
        )

    def step(
        self,
        rows: int,
        step: StepRows,
        old: NativeState,
        new: NativeState,
        memory: NativeMemory,
        weights: Floats,
        buffers: Buffers,
    ) -> None:
        """Advance each of the first `rows` rows by one piece.

        Args:
            old: holds the state that each row continues.
            new: is written; `attentional` holds the features of the step.
            weights: (P, S) row place[r] gets the attention of row r, up to the source's length.
        """
        feeding, combined = self.config.input_feeding, buffers.attention.combined
        size = self.config.decoder_size
        for number in range(len(self.layers)):
            x = buffers.inputs[number]
            column = 0
            if feeding and number == 0:
                place_rows(x, 0, old.attentional, step.origin, rows)
                column = size
            elif number:
                below = buffers.below
                place_narrow(below, 0, buffers.top, rows, STEPS / number)
                place_rows(x, 0, below, buffers.own, rows)
                column = size
                if not feeding:
                    context = combined[:, size:]
                    x[:rows, size : size + context.shape[1]] = context[:rows]
                    column += context.shape[1]
            self._layer(number, rows, step, column, old, new, buffers)
            if number == 0 and not feeding:
                self._attention(rows, step, old, new, memory, weights, buffers)
        if feeding:
            self._attention(rows, step, old, new, memory, weights, buffers)
        place_narrow(combined, 0, buffers.top, rows, STEPS / len(self.layers))
        self.combine(combined, rows, buffers.vector)
        place_tanh(new.attentional, buffers.vector, rows, float(STEPS))

    def _layer(
        self,
        number: int,
        rows: int,
        step: StepRows,
        column: int,
        old: NativeState,
        new: NativeState,
        buffers: Buffers,
    ) -> None:
        """Run a layer, whose inputs are in the first `column` columns of its buffer already."""
        layer, x, sums = self.layers[number], buffers.inputs[number], buffers.gates.sums
        before = old.layers[number]
        given = x
        if layer.kind == "gru":
            given = buffers.hidden
            place_rows(given, 0, before.hidden, step.origin, rows)
        else:
            place_rows(x, column, before.hidden, step.origin, rows)
        if layer.product is None:
            sums[:rows] = 0
        else:
            layer.product(x, rows, sums)
        if number == 0:
            add_table(sums, rows, self.table, step.piece)
        target, after = buffers.targets[number], new.layers[number]
        layer.step(rows, buffers.gates, given, before, step.origin, after, target)

    def _attention(
        self,
        rows: int,
        step: StepRows,
        old: NativeState,
        new: NativeState,
        memory: NativeMemory,
        weights: Floats,
        buffers: Buffers,
    ) -> None:
        """Write the context of every row to the last columns of `combined`."""
        query, scores = buffers.top, buffers.attention.scores
        if self._query is None:
            self._by_product(rows, query, step.sentence, memory, self._scale, scores)
        else:
            place_narrow(buffers.below, 0, query, rows, STEPS / self._query_bound)
            query = buffers.query
            self._query(buffers.below, rows, query)
            self._by_sum(rows, query, step.sentence, memory, self._energy, scores)
        if self._coverage is not None:
            self._add_coverage(rows, step, memory, self._coverage, old.coverage, scores)
        self._attend(rows, step, memory, self._context_steps, buffers.attention, weights)
        if self._coverage is not None:
            self._follow_coverage(rows, step, memory, old.coverage, new.coverage, weights)


def _product(linear: nn.Linear, bounds: Parts, factor: float = 1.0) -> Int8Product:
    """Turn `factor` times `linear` into a product of bytes."""
    bias = linear.bias if linear.bias is not None else torch.zeros(linear.out_features)
    return Int8Product((factor * linear.weight).numpy(), (factor * bias).numpy(), bounds)
