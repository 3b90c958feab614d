"""NativeNetwork: the network in int8 on a CPU, for rows that live in buffers made once.

The same function as `Seq2Seq` (tests hold them equal) as a dozen calls of kernels a step. Every row
is computed by itself: its bits depend on nothing beside it.
"""

# Shapes: N sentences, R rows (hypotheses that are alive), M rows of state, S source length with
# EOS, L layers, D decoder size, F feature size, H encoder output size, A attention size,
# V vocabulary.

import copy
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from model.config import ModelConfig
from model.decoding.native.attention import attend, scores_by_product, scores_by_sum
from model.decoding.native.cells import add_table
from model.decoding.native.encoder import NativeEncoder
from model.decoding.native.layer import Layer, LayerState, Parts, Target
from model.decoding.native.product import STEPS, Bytes, Floats, Int8Product, Ints
from model.decoding.native.rows import place_narrow, place_rows, place_tanh
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID


@dataclass(frozen=True, slots=True)
class NativeEncoded:
    """One sentence between encoder and decoder."""

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
    """What a step hands to the next, for M rows."""

    layers: list[LayerState]
    attentional: Bytes
    """(M, F) the last features, which input feeding reads."""


@dataclass(frozen=True, slots=True)
class NativeMemory:
    """What is attended to: a slot for each sentence."""

    values: Floats
    """(N, S, H)"""
    keys: Floats
    """(N, S, A)"""
    length: Ints
    """(N,) with EOS."""


@dataclass(frozen=True, slots=True)
class NativeStep:
    """Which rows there are in a step: row r continues row `origin[r]` of the old state."""

    rows: int
    piece: Ints
    """(R,) the last piece."""
    origin: Ints
    """(R,)"""
    sentence: Ints
    """(R,) its slot in the memory."""
    place: Ints
    """(R,) where its attention weights go."""


def has_int8(config: ModelConfig) -> bool:
    """Whether the sizes are those of whole groups of 4 bytes, which products take at once."""
    sizes = (config.encoder_size // 2, config.decoder_size, config.embedding_size)
    return all(size % 4 == 0 for size in sizes)


class Buffers:
    """What a step writes on the way, for up to `rows` rows and sources of `source` pieces."""

    def __init__(self, network: "NativeNetwork", rows: int, source: int) -> None:
        config, width = network.config, max(layer.gate_width for layer in network.layers)
        size = config.decoder_size
        self.inputs = [np.empty((rows, layer.input_width), np.uint8) for layer in network.layers]
        self.hidden = np.empty((rows, size), np.uint8)
        self.gates = np.empty((rows, width), np.float32)
        self.hidden_gates = np.empty((rows, width), np.float32)
        self.top = np.empty((rows, size), np.float32)
        self.below = np.empty((rows, size), np.uint8)
        self.query = np.empty((rows, network.query_width), np.float32)
        self.scores = np.empty((rows, config.attention_heads * source), np.float32)
        self.sums = np.empty(config.encoder_size, np.float32)
        self.combined = np.empty((rows, size + config.encoder_size), np.uint8)
        self.vector = np.empty((rows, network.combine.width), np.float32)
        self.own = np.arange(rows, dtype=np.int32)


class NativeNetwork:
    """What the native search asks of a network."""

    device = torch.device("cpu")

    def __init__(self, network: Seq2Seq) -> None:
        """The network, in eval mode and on any device, is read and left as it is."""
        with torch.no_grad():
            network = copy.deepcopy(network).float().cpu()
            self.config = config = network.config
            decoder, size = network.decoder, config.decoder_size
            bound = float(config.encoder_layers)
            context = (config.encoder_size, bound)
            self._context_steps = STEPS / bound
            self.encoder = NativeEncoder(network)
            self.layers: list[Layer] = []
            for number, layer in enumerate(decoder.layers):
                inputs: Parts = [(size, float(max(number, 1)))]
                if not config.input_feeding:
                    inputs = [*inputs, context] if number else []
                self.layers.append(Layer(layer, inputs))
            embedding = network.target_embedding.weight * network.input_scale
            self.table = self.layers[0].table(embedding)
            attention = decoder.attention
            self._scale = attention.scale if attention.kind == "general" else 1.0
            self._keys = self._query = None
            if attention.kind != "dot":
                self._keys = _product(attention.key, [context])
            if attention.kind == "additive":
                self._query = _product(attention.query, [(size, self._query_bound)])
                self._energy = attention.energy.numpy()
            self.key_width = config.encoder_size if self._keys is None else self._keys.outputs
            self.query_width = size if self._query is None else self._query.width
            self._bridge = _product(decoder.bridge, [context], 2.0)
            parts = [(size, float(config.decoder_layers)), context]
            self.combine = _product(decoder.combine, parts, 2.0)
            weight, bias = network.output.weight.detach(), network.output.bias.detach()
            if decoder.narrow is not None:  # a linear layer between is folded into the output
                bias = bias + weight @ decoder.narrow.bias
                weight = weight @ decoder.narrow.weight
            self.output = Int8Product(weight.numpy(), bias.numpy())
            self.features = weight.shape[1]

    @property
    def _query_bound(self) -> float:
        return float(self.config.decoder_layers) if self.config.input_feeding else 1.0

    def encode(
        self, sources: list[tuple[int, ...]], threads: Executor | None = None
    ) -> list[NativeEncoded]:
        """Memory and first state of each source, given without EOS."""
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
        """First hidden and carried states (N, L, D): tanh of the projected mean of the memory."""
        means = np.stack([values[part].mean(axis=0, dtype=np.float32) for part in parts])
        below = np.empty(means.shape, np.uint8)
        place_narrow(below, 0, means, len(means), self._context_steps)
        sums = np.empty((len(means), self._bridge.width), np.float32)
        self._bridge(below, len(means), sums)
        with np.errstate(over="ignore"):  # of exp: then the state is -1
            state = 2 / (1 + np.exp(-sums[:, : self._bridge.outputs])) - 1
        hidden, cell = np.split(state.reshape(len(means), 2, len(self.layers), -1), 2, axis=1)
        flat = np.ascontiguousarray(hidden.reshape(-1, hidden.shape[-1]), dtype=np.float32)
        narrow = np.empty(flat.shape, np.uint8)
        place_narrow(narrow, 0, flat, len(flat), float(STEPS))
        carry = {"lstm": cell, "gru": hidden, "rnn": cell[..., :0]}[self.config.cell]
        return narrow.reshape(hidden[:, 0].shape), carry[:, 0].astype(np.float32)

    def state(self, rows: int) -> NativeState:
        """The state of `rows` rows, all zeros."""
        return NativeState(
            [layer.state(rows) for layer in self.layers],
            np.full((rows, self.features), 128, np.uint8),
        )

    def step(
        self,
        step: NativeStep,
        old: NativeState,
        new: NativeState,
        memory: NativeMemory,
        weights: Floats,
        buffers: Buffers,
    ) -> None:
        """One more piece for every row: `new` is written, with the features in `attentional`.

        `weights` (P, S) get the attention of row r in row `place[r]`, up to the source's length.
        """
        rows, feeding = step.rows, self.config.input_feeding
        combined, size = buffers.combined, self.config.decoder_size
        for number, layer in enumerate(self.layers):
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
            self._layer(number, layer, step, column, old, new, buffers)
            if number == 0 and not feeding:
                self._attend(step, memory, weights, buffers)
        if feeding:
            self._attend(step, memory, weights, buffers)
        place_narrow(combined, 0, buffers.top, rows, STEPS / len(self.layers))
        self.combine(combined, rows, buffers.vector)
        place_tanh(new.attentional, buffers.vector, rows, float(STEPS))

    def _layer(
        self,
        number: int,
        layer: Layer,
        step: NativeStep,
        column: int,
        old: NativeState,
        new: NativeState,
        buffers: Buffers,
    ) -> None:
        """One layer; its inputs lie in the first `column` columns already."""
        rows, x, gates = step.rows, buffers.inputs[number], buffers.gates
        before = old.layers[number]
        given = x
        if layer.kind == "gru":
            given = buffers.hidden
            place_rows(given, 0, before.hidden, step.origin, rows)
        else:
            place_rows(x, column, before.hidden, step.origin, rows)
        if layer.product is None:
            gates[:rows] = 0
        else:
            layer.product(x, rows, gates)
        if number == 0:
            add_table(gates, rows, self.table, step.piece)
        target = Target(buffers.top, buffers.own, 0, number > 0)
        layer.step(
            rows,
            gates,
            buffers.hidden_gates,
            given,
            before,
            step.origin,
            new.layers[number],
            target,
        )

    def _attend(
        self, step: NativeStep, memory: NativeMemory, weights: Floats, buffers: Buffers
    ) -> None:
        """The context of every row, in the last columns of `combined`."""
        rows, query, heads = step.rows, buffers.top, self.config.attention_heads
        if self._query is not None:
            place_narrow(buffers.below, 0, query, rows, STEPS / self._query_bound)
            query = buffers.query
            self._query(buffers.below, rows, query)
            scores_by_sum(
                query, rows, step.sentence, memory.length, memory.keys, self._energy, buffers.scores
            )
        else:
            scores_by_product(
                query, rows, step.sentence, memory.length, memory.keys, self._scale, buffers.scores
            )
        attend(
            buffers.scores,
            rows,
            step.sentence,
            memory.length,
            memory.values,
            heads,
            self._context_steps,
            buffers.sums,
            buffers.combined,
            self.config.decoder_size,
            weights,
            step.place,
        )


def _product(linear: nn.Linear, bounds: Parts, factor: float = 1.0) -> Int8Product:
    """`linear` as a product of bytes, times `factor`."""
    bias = linear.bias if linear.bias is not None else torch.zeros(linear.out_features)
    return Int8Product((factor * linear.weight).numpy(), (factor * bias).numpy(), bounds)
