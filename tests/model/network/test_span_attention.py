"""Span attention against NumPy, which ranks the windows and attends within them by itself."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.config import ModelConfig
from model.network.attention import Attention
from model.network.memory import Memory
from model.network.span_attention import WINDOW, SpanAttention

Array = NDArray[np.float64]
SIZE = 8
PIECES = 9 * WINDOW + 100
"""Nine whole windows, and a short one."""
KINDS: dict[str, dict[str, Any]] = {
    "general": {},
    "heads": {"attention_heads": 4},
    "coverage": {"coverage": True, "attention_heads": 2},
    "dot": {"attention": "dot"},
    "additive": {"attention": "additive", "coverage": True},
}


def made(kind: str) -> tuple[Attention, Memory, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=40, encoder_size=SIZE, decoder_size=SIZE, **KINDS[kind])
    attention = Attention(config).double()
    if attention.coverage is not None:
        attention.coverage.data.fill_(-0.7)
    # Windows that differ, so that the choice matters.
    drift = torch.randn(1, -(-PIECES // WINDOW), SIZE, dtype=torch.float64)
    values = torch.randn(1, PIECES, SIZE, dtype=torch.float64)
    values += 2 * drift.repeat_interleave(WINDOW, dim=1)[:, :PIECES]
    mask = torch.ones(1, PIECES, dtype=torch.bool)
    memory = Memory(mask.long(), values, attention.keys(values).detach(), mask)
    query = torch.randn(1, 3, SIZE, dtype=torch.float64)
    attended = torch.rand(1, 3, PIECES, dtype=torch.float64) * 5
    return attention, memory, query, attended


def scores(attention: Attention, query: Array, keys: Array, past: Array) -> Array:
    """(G, X) for one query (D,), keys (X, A) and past weights (X,)."""
    heads = attention.heads
    if attention.kind == "additive":
        weight, bias = attention.query.weight.detach().numpy(), attention.query.bias
        projected = weight @ query + bias.detach().numpy()
        found = (np.tanh(projected + keys) @ attention.energy.detach().numpy())[None]
    else:
        split = keys.reshape(len(keys), heads, -1)
        found = np.einsum("hd,xhd->hx", query.reshape(heads, -1), split)
        if attention.kind == "general":
            found = found / np.sqrt(SIZE // heads)
    if attention.coverage is not None:
        found = found + attention.coverage.item() * past
    return np.asarray(found)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def truth(
    attention: Attention, query: Array, keys: Array, values: Array, past: Array, span: int
) -> tuple[list[int], Array, Array]:
    """The windows, the context (H,) and the weights (S,) of one query."""
    starts = range(0, PIECES, WINDOW)
    means = np.array([keys[at : at + WINDOW].mean(axis=0) for at in starts])
    pasts = np.array([past[at : at + WINDOW].mean() for at in starts])
    # fp64 is wide enough for the weights of all these windows to differ.
    rank = softmax(scores(attention, query, means, pasts)).mean(axis=0)
    windows: list[int] = []
    taken = 0
    for window in np.argsort(-rank, kind="stable"):
        if taken >= span:
            break
        windows.append(int(window))
        taken += min(WINDOW, PIECES - window * WINDOW)
    within = np.zeros(PIECES, dtype=bool)
    for window in windows:
        within[window * WINDOW : (window + 1) * WINDOW] = True
    own = softmax(scores(attention, query, keys[within], past[within]))  # (G, X)
    split = values[within].reshape(int(within.sum()), attention.heads, -1)
    context = np.einsum("gx,xgh->gh", own, split).ravel()
    weights = np.zeros(PIECES)
    weights[within] = own.mean(axis=0)
    return sorted(windows), context, weights


@pytest.mark.parametrize("span", [1, WINDOW, WINDOW + 1, 4 * WINDOW, PIECES - 1])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_windows_and_weights_are_those_of_numpy(kind: str, span: int) -> None:
    attention, memory, query, attended = made(kind)
    within = SpanAttention(attention, memory, span)
    context, weights = within(query, memory, attended)
    chosen = within.chosen(query, attended)
    for row in range(3):
        windows, expected_context, expected = truth(
            attention,
            query[0, row].numpy(),
            memory.keys[0].numpy(),
            memory.values[0].numpy(),
            attended[0, row].numpy(),
            span,
        )
        assert chosen[row] == windows
        np.testing.assert_allclose(weights[0, row].numpy(), expected, rtol=0, atol=1e-10)
        np.testing.assert_allclose(context[0, row].numpy(), expected_context, rtol=0, atol=1e-10)
    if span <= WINDOW:
        assert not torch.allclose(weights, attention(query, memory, attended)[1], atol=1e-3)


@torch.no_grad()
def test_hypotheses_choose_for_themselves_and_a_short_window_counts_as_what_it_has() -> None:
    attention, memory, _, _ = made("general")
    within = SpanAttention(attention, memory, WINDOW)
    chosen = within.chosen(50 * torch.randn(1, 64, SIZE, dtype=torch.float64), None)
    assert len({tuple(windows) for windows in chosen}) > 5
    last = PIECES // WINDOW
    assert any(last in windows for windows in chosen)
    for windows in chosen:  # 100 pieces are not enough
        assert sum(min(WINDOW, PIECES - w * WINDOW) for w in windows) >= WINDOW


@torch.no_grad()
def test_all_windows_give_the_whole() -> None:
    attention, memory, query, attended = made("coverage")
    expected = attention(query, memory, attended)
    found = SpanAttention(attention, memory, PIECES - 1)(query, memory, attended)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
