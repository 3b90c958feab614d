"""Seq2Seq: embeddings, encoder, decoder and output layer, with the interface for decoding."""

# Shapes: N sentences, K hypotheses, R = N*K rows, S source length, T target length, V vocabulary,
# E embedding, F feature size.

import math

import torch
from torch import Tensor, nn

from model.config import ModelConfig
from model.network.cells import linear
from model.network.copying import gate_logits, with_copies
from model.network.decoder import Decoder, DecoderState
from model.network.dropout import Dropout
from model.network.encoder import Encoder
from model.network.memory import Memory
from model.network.vectors import Statistics, VectorInput


def make_input(vocabulary: int, width: int, size: int) -> nn.Embedding | VectorInput:
    """The module that maps pieces, or vectors of `width` numbers if that is above 0, to (…, E)."""
    return VectorInput(width, size) if width else nn.Embedding(vocabulary, size)


def make_output(features: int, vocabulary: int, width: int) -> nn.Linear:
    """The module that maps features to logits, or to vectors of `width` if that is above 0."""
    output = nn.Linear(features, width or vocabulary)
    nn.init.normal_(output.weight, std=features**-0.5)
    nn.init.zeros_(output.bias)
    return output


def make_statistics(width: int) -> Statistics | None:
    """The statistics of vectors of `width` numbers; None for pieces."""
    return Statistics(width) if width else None


class Seq2Seq(nn.Module):
    """The whole network. With `tie_embeddings` source, target and output share one matrix.

    The matrix is initialised with standard deviation 1/sqrt(E), which suits the output; the inputs
    are scaled up by sqrt(E), as in Vaswani et al. 2017, 3.4. Without tying there are three
    matrices, each with its own scale.

    Where the source or the output is vectors, a linear layer stands in the place of the embedding,
    and ids (N, S) of pieces become normalised vectors (N, S, W): see `model.network.vectors`.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        size, vocabulary = config.embedding_size, config.vocab_size
        features = size if config.tie_embeddings else config.decoder_size
        self.output = make_output(features, vocabulary, config.target_width)
        self.source_embedding = make_input(vocabulary, config.source_width, size)
        self.target_embedding = make_input(vocabulary, config.target_width, size)
        self.source_statistics = make_statistics(config.source_width)
        self.target_statistics = make_statistics(config.target_width)
        self.input_scale = 1.0
        if config.tie_embeddings:
            self.source_embedding.weight = self.output.weight
            self.target_embedding.weight = self.output.weight
            self.input_scale = math.sqrt(size)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.embedding_dropout = Dropout(config.embedding_dropout)
        self.copy_gate: nn.Linear | None = None
        if config.copy:
            self.copy_gate = nn.Linear(features, 1)
            nn.init.normal_(self.copy_gate.weight, std=features**-0.5)
            nn.init.zeros_(self.copy_gate.bias)

    @property
    def device(self) -> torch.device:
        """The device that the network is on."""
        return self.output.weight.device

    def encode(self, src: Tensor, lengths: Tensor) -> Memory:
        """The memory of source ids `src` (N, S), of which the first `lengths` (N,) are real."""
        mask = torch.arange(src.shape[1], device=src.device) < lengths.unsqueeze(1)
        embedded = self._embed(self.source_embedding, src)
        values = self.encoder(embedded, lengths)
        return Memory(src=src, values=values, keys=self.decoder.attention.keys(values), mask=mask)

    def start(self, memory: Memory) -> DecoderState:
        """The decoder's state before the first piece, one row for each sentence."""
        return self.decoder.start(memory)

    def step(
        self, token: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[DecoderState, Tensor, Tensor]:
        """Next state, features (N, K, F) and weights (N, K, S) for the previous pieces (N, K)."""
        return self.decoder.step(self._embed(self.target_embedding, token), state, memory)

    def unroll(self, tgt_in: Tensor, state: DecoderState, memory: Memory) -> tuple[Tensor, Tensor]:
        """Features (N, T, F) and weights (N, T, S) under teacher forcing with `tgt_in` (N, T)."""
        return self.decoder.unroll(self._embed(self.target_embedding, tgt_in), state, memory)

    def log_scores(self, features: Tensor, weights: Tensor, memory: Memory) -> Tensor:
        """Logits (N, K, V) for features (N, K, F): log-probabilities up to a constant per row.

        Of an output of vectors: the next vector (N, K, W), normalised.

        `weights` (N, K, S) and `memory` are read with `copy`: see `model.network.copying`.
        """
        rows = linear(features.flatten(0, 1), self.output.weight, self.output.bias)
        logits = rows.view(*features.shape[:2], -1)
        if self.copy_gate is None:
            return logits
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return with_copies(wide, gate_logits(features, self.copy_gate), weights, memory.src)

    def _embed(self, embedding: nn.Embedding | VectorInput, ids: Tensor) -> Tensor:
        return torch.as_tensor(self.embedding_dropout(embedding(ids) * self.input_scale))
