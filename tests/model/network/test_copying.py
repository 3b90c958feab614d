"""Copying against distributions written out by hand, from the equations of See et al. 2017."""

import math

import pytest
import torch
from torch import Tensor

from model.config import ModelConfig
from model.network.copying import gate_logits, piece_attention, with_copies
from model.network.seq2seq import Seq2Seq

SRC = torch.tensor([[4, 5, 4, 3], [6, 3, 0, 0]])
WEIGHTS = torch.tensor(
    [[[0.2, 0.3, 0.4, 0.1], [0.0, 1.0, 0.0, 0.0]], [[0.75, 0.25, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]]],
    dtype=torch.float64,
)


def mixture(logits: Tensor, gate: Tensor, weights: Tensor, src: Tensor) -> Tensor:
    """Eq. 9 as it reads, one sum for each piece."""
    p_gen = 1 - gate.sigmoid()
    vocabulary = logits.softmax(dim=-1)
    found = torch.zeros_like(logits)
    for n in range(logits.shape[0]):
        for k in range(logits.shape[1]):
            for w in range(logits.shape[2]):
                copied = sum(float(weights[n, k, i]) for i in range(src.shape[1]) if src[n, i] == w)
                generated = float(p_gen[n, k]) * float(vocabulary[n, k, w])
                found[n, k, w] = generated + (1 - float(p_gen[n, k])) * copied
    return found


def test_a_distribution_computed_by_hand() -> None:
    """Two pieces with logits 0 and ln 3, so 1/4 and 3/4; half is copied, all of it from piece 0."""
    logits = torch.tensor([[[0.0, math.log(3.0)]]], dtype=torch.float64)
    gate = torch.zeros(1, 1, dtype=torch.float64)
    weights = torch.tensor([[[0.25, 0.75]]], dtype=torch.float64)
    mixed = with_copies(logits, gate, weights, torch.zeros(1, 2, dtype=torch.long))
    expected = torch.tensor([[[1 / 8 + 1 / 2, 3 / 8]]], dtype=torch.float64)
    torch.testing.assert_close(mixed.softmax(2), expected, rtol=0, atol=1e-15)


def test_the_mixture_is_that_of_the_paper_with_repeated_pieces_and_padding() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 2, 9, dtype=torch.float64)
    gate = torch.tensor([[0.0, -3.0], [2.0, 0.5]], dtype=torch.float64)
    expected = mixture(logits, gate, WEIGHTS, SRC)
    torch.testing.assert_close(expected.sum(2), torch.ones(2, 2).double(), rtol=0, atol=1e-12)
    mixed = with_copies(logits.clone(), gate, WEIGHTS, SRC)
    torch.testing.assert_close(mixed.softmax(dim=2), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("gate", [-1e4, -90.0, 90.0, 1e4])
def test_a_gate_that_is_shut_or_open_leaves_no_nan(gate: float) -> None:
    logits = torch.tensor([[[50.0, -50.0, 0.0, 1.0, 2.0, -1.0, 3.0]]])
    mixed = with_copies(logits.clone(), torch.tensor([[gate]]), WEIGHTS[:1, :1].float(), SRC[:1])
    found = mixed.log_softmax(dim=2)
    if gate < 0:
        torch.testing.assert_close(found, logits.log_softmax(dim=2))
    else:
        copied = torch.tensor([0.1, 0.6, 0.3])  # pieces 3, 4 and 5
        torch.testing.assert_close(
            found[0, 0, 3:6].exp(), copied, rtol=1e-3, atol=0
        )  # fp32 near 1e4


def test_attention_to_a_piece_does_not_depend_on_where_it_stands() -> None:
    """To the bit: sums of fp32 numbers in another order would differ."""
    torch.manual_seed(1)
    weights = torch.rand(1, 3, 40).softmax(dim=2)
    src = torch.randint(4, 9, (1, 40))
    order = torch.randperm(40)
    found = piece_attention(weights, src, 9)
    other = piece_attention(weights[:, :, order], src[:, order], 9)
    assert torch.equal(found[:, :, order], other)
    for piece in range(4, 9):
        expected = weights[0, :, src[0] == piece].double().sum(1)
        at = int((src[0] == piece).nonzero()[0])
        torch.testing.assert_close(found[0, :, at], expected, rtol=0, atol=1e-15)


def test_the_gate_reads_each_row_by_itself() -> None:
    torch.manual_seed(2)
    gate, features = torch.nn.Linear(96, 1), torch.randn(7, 5, 96)
    with torch.no_grad():
        together = gate_logits(features, gate)
        torch.testing.assert_close(together, gate(features).squeeze(2))
        for n in range(7):
            assert torch.equal(gate_logits(features[n : n + 1], gate)[0], together[n])


def copying_network() -> Seq2Seq:
    torch.manual_seed(3)
    config = ModelConfig(
        vocab_size=9,
        embedding_size=8,
        encoder_size=8,
        decoder_size=8,
        input_feeding=False,
        copy=True,
        coverage=True,
    )
    return Seq2Seq(config).double().eval().requires_grad_(False)


def test_a_network_that_copies_gives_normalised_probabilities_of_the_mixture() -> None:
    network = copying_network()
    memory = network.encode(SRC, torch.tensor([4, 2]))
    features, weights = network.unroll(
        torch.tensor([[2, 4], [2, 6]]), network.start(memory), memory
    )
    assert network.copy_gate is not None
    gate = network.copy_gate(features).squeeze(2)
    expected = mixture(network.output(features), gate, weights, SRC)
    found = network.log_scores(features, weights, memory).softmax(dim=2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_coverage_is_the_sum_of_the_attention_before_the_step() -> None:
    """Eq. 10 and 11: it leaves out the step itself, and adds to the scores of the next."""
    network = copying_network()
    attention = network.decoder.attention
    assert attention.coverage is not None
    attention.coverage.data.fill_(-5.0)
    memory = network.encode(SRC, torch.tensor([4, 2]))
    state = network.start(memory)
    assert torch.equal(state.coverage, torch.zeros(2, 4).double())
    seen = torch.zeros(2, 4).double()
    for token in ([[2], [2]], [[4], [6]], [[5], [6]]):
        before = state
        state, _, weights = network.step(torch.tensor(token), state, memory)
        embedded = network.target_embedding(torch.tensor(token))[:, 0] * network.input_scale
        query, _ = network.decoder.layers[0].step(embedded, before.hidden[:, 0], before.cell[:, 0])
        scores = torch.einsum("nd,nsd->ns", query, memory.keys) * attention.scale
        scores = (scores - 5.0 * seen).masked_fill(~memory.mask, -math.inf)
        torch.testing.assert_close(weights[:, 0], scores.softmax(dim=1), rtol=0, atol=1e-12)
        seen = seen + weights[:, 0]
        torch.testing.assert_close(state.coverage, seen, rtol=0, atol=1e-12)
