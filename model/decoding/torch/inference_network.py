"""InferenceNetwork: the network with its weights laid out for inference, in fp32 or bf16.

It computes the same function as `Seq2Seq` (tests hold them equal) in fewer and larger operations:
those of `InferenceLayer`, and a linear layer before the output layer is folded into the latter.
"""

# Shapes: N sentences, K hypotheses, R = N*K rows, S source length, D decoder size, L layers,
# H encoder output size, h half of it (one direction), V vocabulary.

import copy
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from model.decoding.torch.inference_layer import FloatProduct, InferenceLayer, gate_table
from model.network.attention import Attention
from model.network.cells import fill_rows
from model.network.copying import with_copies
from model.network.decoder import DecoderState, mean_values, with_weights
from model.network.first_state import NO_VECTORS, Bridge
from model.network.long_encoder import CHUNK, InChunks, encode_values, finished, memory_of
from model.network.memory import Memory, chunks
from model.network.seq2seq import Seq2Seq
from model.network.span_attention import SpanAttention


class InferenceNetwork:
    """A network with the methods that the engine calls: encode, start, step, log_scores."""

    def __init__(self, network: Seq2Seq, dtype: torch.dtype) -> None:
        """`network`, in eval mode and on any device, is copied and not changed."""
        config = network.config
        self.config = config
        self.dtype = dtype
        self.device = network.output.weight.device
        with torch.no_grad():
            if network.output.weight.dtype != torch.float32:
                network = copy.deepcopy(network).float()
            self._embedding = (network.source_embedding.weight * network.input_scale).to(dtype)
            same = dtype == torch.float32
            self._encoder = network.encoder if same else copy.deepcopy(network.encoder).to(dtype)
            attention, bridge = network.decoder.attention, network.decoder.bridge
            assert isinstance(bridge, Bridge), NO_VECTORS
            self._bridge = FloatProduct(2 * bridge.weight, 2 * bridge.bias, dtype)
            self._attention: Attention | SpanAttention = attention
            self._keys = None
            if config.attention != "dot":
                key = attention.key.weight
                self._keys = FloatProduct(key, key.new_zeros(len(key)), dtype)
            self._pack_decoder(network)
        # Elementwise functions run in blocks of 32, and process a remainder in another way.
        self._even = config.decoder_size % 32 == 0

    def _pack_decoder(self, network: Seq2Seq) -> None:
        config, decoder, dtype = network.config, network.decoder, self.dtype
        size, feeding = config.decoder_size, config.input_feeding
        self._layers = []
        for number, layer in enumerate(decoder.layers):
            taken = size if feeding or number else 0
            if number and not feeding:
                taken += config.encoder_size
            self._layers.append(InferenceLayer(layer, dtype, taken))
        embedding = network.target_embedding.weight * network.input_scale
        self._table = gate_table(embedding, self._layers[0], dtype)
        combine = decoder.combine
        self._combine = FloatProduct(2 * combine.weight, 2 * combine.bias, dtype)
        weight, bias = network.output.weight.detach(), network.output.bias.detach()
        if decoder.narrow is not None:
            bias = bias + weight @ decoder.narrow.bias
            weight = weight @ decoder.narrow.weight
        self.copies = network.copy_gate is not None
        if network.copy_gate is not None:  # one more row of the output layer
            gate, gate_bias = network.copy_gate.weight.detach(), network.copy_gate.bias.detach()
            if decoder.narrow is not None:
                gate_bias = gate_bias + gate @ decoder.narrow.bias
                gate = gate @ decoder.narrow.weight
            weight, bias = torch.cat([weight, gate]), torch.cat([bias, gate_bias])
        self._output = FloatProduct(weight, bias, dtype)
        # Rows from which shortlists pick.
        self._rows = weight.to(dtype)
        self._row_bias = bias

    def encode(self, src: Tensor, lengths: Tensor) -> Memory:
        """The memory, in fp32, of source ids `src` (N, S), of which `lengths` (N,) are real."""
        mask = torch.arange(src.shape[1], device=src.device) < lengths.unsqueeze(1)
        embedded = self._embedding.index_select(0, src.flatten()).view(*src.shape, -1)
        values = torch.as_tensor(self._encoder(embedded, lengths)).float()
        keys = values
        if self._keys is not None:
            keys = self._keys(values.flatten(0, 1).to(self.dtype))
        return Memory(src=src, values=values, keys=keys.view(*src.shape, -1), mask=mask)

    @torch.no_grad()
    def encode_long(self, src: Tensor, chunk: int = CHUNK) -> Memory:
        """`encode` for one source `src` (S,) of any length: see `model.network.long_encoder`."""
        return finished(self.encode_in_chunks(src, chunk))

    def encode_in_chunks(self, src: Tensor, chunk: int = CHUNK) -> InChunks[Memory]:
        """The same, stopping after every chunk."""
        embed = partial(self._embedding.index_select, 0)
        encoded = yield from encode_values(self._encoder, embed, src, chunk)
        values = encoded.float()
        del encoded  # in bf16 it would stay beside the values
        keys = values
        if self._keys is not None:
            keys = values.new_empty(len(src), self.config.decoder_size)
            for part in chunks(len(src), chunk):
                keys[part] = self._keys(values[part].to(self.dtype))
                yield
        return memory_of(src, values, keys)

    def attending_to(self, memory: Memory, span: int) -> "InferenceNetwork":
        """This network, but for a decoder that attends to `span` pieces of `memory` in each step.

        See `SpanAttention`. The weights are shared.
        """
        assert isinstance(self._attention, Attention), "it attends to a span already"
        other = copy.copy(self)
        other._attention = SpanAttention(self._attention, memory, span)
        return other

    def start(self, memory: Memory) -> DecoderState:
        """The decoder's state before the first piece, one row for each sentence."""
        mean = mean_values(memory).to(self.dtype)
        state = self._bridge(mean).sigmoid_().mul_(2).sub_(1)
        hidden, cell = state.view(len(state), 2, self.config.decoder_layers, -1).unbind(1)
        carry = {"lstm": 2 * cell, "gru": hidden, "rnn": cell[..., :0]}
        width = self.config.decoder_size if self.config.input_feeding else 0
        return DecoderState(
            hidden=hidden.to(self.dtype),
            cell=carry[self.config.cell],
            attentional=hidden.new_zeros(len(hidden), width).to(self.dtype),
            coverage=hidden.new_zeros(
                len(hidden), memory.src.shape[1] if self.config.coverage else 0
            ),
        )

    def step(
        self, token: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[DecoderState, Tensor, Tensor]:
        """As `Seq2Seq.step`; hidden states, attentional vector and features are narrow."""
        sentences, queries = token.shape
        rows = sentences * queries
        pieces = token.flatten()
        if not self._even:
            pieces, state = fill_rows(pieces), state.filled()
        given = self._table.index_select(0, pieces).float()
        feeding = self.config.input_feeding
        inputs = [state.attentional] if feeding else []
        top, carry = self._layers[0].step(inputs, state.hidden[:, 0], state.cell[:, 0], given)
        hidden, carried = [top.to(self.dtype)], [carry]
        below = hidden[0]
        attended = state.coverage[:rows].view(sentences, queries, state.coverage.shape[1])
        if not feeding:
            context, weights = self._attend(top, memory, attended)
        for number, layer in enumerate(self._layers[1:], start=1):
            inputs = [below] if feeding else [below, context]
            output, carry = layer.step(
                inputs, state.hidden[:, number], state.cell[:, number], layer.input_bias
            )
            hidden.append(output.to(self.dtype))
            carried.append(carry)
            top = top + output
            below = top.to(self.dtype)
        if feeding:
            context, weights = self._attend(top, memory, attended)
        vector = self._combine(torch.cat([below, context], dim=-1)).sigmoid_().mul_(2).sub_(1)
        features = vector.to(self.dtype)
        following = DecoderState(
            hidden=torch.stack(hidden, dim=1)[:rows],
            cell=torch.stack(carried, dim=1)[:rows],
            attentional=(features if feeding else state.attentional)[:rows],
            coverage=with_weights(state.coverage[:rows], weights),
        )
        return following, features[:rows].view(sentences, queries, -1), weights

    def log_scores(self, features: Tensor, weights: Tensor, memory: Memory) -> Tensor:
        """Logits (N, K, V), fp32; see `Seq2Seq.log_scores`."""
        logits = self._output(features.flatten(0, 1)).view(*features.shape[:2], -1)
        if not self.copies:
            return logits
        return with_copies(logits[:, :, :-1], logits[:, :, -1], weights, memory.src)

    def output_rows(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (C, F) and biases (C,) of the output layer for the pieces `ids` (C,).

        With `copies`, piece V stands for the gate.
        """
        return self._rows.index_select(0, ids), self._row_bias.index_select(0, ids)

    def listed_scores(self, features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Logits (N, K, C), fp32, of each sentence's own `output_rows` (N, C, F) and (N, C)."""
        count = len(features)
        on_cpu = features.device.type == "cpu"
        if on_cpu and count == 1 and torch.get_num_threads() > 1:  # see Attention.forward
            features, weight = features[[0, 0]], weight[[0, 0]]
        return (features @ weight.transpose(1, 2))[:count].float().add_(bias.unsqueeze(1))

    def _attend(self, query: Tensor, memory: Memory, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Context (R, H), narrow, and weights (N, K, S); see `Decoder._attend`."""
        sentences, queries, _ = attended.shape
        rows = sentences * queries
        context, weights = self._attention(
            query[:rows].view(sentences, queries, -1), memory, attended
        )
        context = F.pad(context.flatten(0, 1), (0, 0, 0, len(query) - rows))
        return context.to(self.dtype), weights
