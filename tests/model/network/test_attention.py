"""Attention against a few lines of NumPy, for every kind of score."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.config import ModelConfig
from model.network.attention import Attention
from model.network.memory import Memory

Array = NDArray[np.float64]


def numpy_attention(attention: Attention, q: Array, v: Array, real: int) -> tuple[Array, Array]:
    """Context (H,) and weights (S,) of one query (D,) over values (S, H), `real` of them."""
    tensors = {name: value.detach().numpy() for name, value in attention.named_parameters()}
    k = v if attention.kind == "dot" else v @ tensors["key.weight"].T
    contexts, weights = [], []
    for head in range(attention.heads):
        part = slice(head * len(q) // attention.heads, (head + 1) * len(q) // attention.heads)
        if attention.kind == "additive":
            projected = q @ tensors["query.weight"].T + tensors["query.bias"]
            scores = np.tanh(projected + k) @ tensors["energy"]
        else:
            scores = k[:, part] @ q[part]
            if attention.kind == "general":
                scores = scores / np.sqrt(len(q) / attention.heads)
        e = np.exp(scores[:real] - scores[:real].max())
        w = np.concatenate([e / e.sum(), np.zeros(len(v) - real)])
        weights.append(w)
        columns = slice(
            head * v.shape[1] // attention.heads, (head + 1) * v.shape[1] // attention.heads
        )
        contexts.append(w @ v[:, columns])
    return np.concatenate(contexts), np.mean(weights, axis=0)


@pytest.mark.parametrize(
    ("kind", "heads"), [("general", 1), ("general", 4), ("dot", 1), ("additive", 1)]
)
def test_equals_numpy(kind: str, heads: int) -> None:
    torch.manual_seed(0)
    attention = Attention(
        ModelConfig(
            vocab_size=9,
            encoder_size=8,
            decoder_size=8,
            attention=kind,  # type: ignore[arg-type]
            attention_heads=heads,
        )
    ).double()
    values = torch.randn(2, 5, 8, dtype=torch.float64)
    lengths = [5, 3]
    mask = torch.arange(5) < torch.tensor(lengths).unsqueeze(1)
    memory = Memory(torch.zeros(2, 5, dtype=torch.long), values, attention.keys(values), mask)
    query = torch.randn(2, 3, 8, dtype=torch.float64)
    context, weights = attention(query, memory)
    for n in range(2):
        for k in range(3):
            expected = numpy_attention(
                attention, query[n, k].numpy(), values[n].numpy(), lengths[n]
            )
            np.testing.assert_allclose(context[n, k].detach(), expected[0], atol=1e-12)
            np.testing.assert_allclose(weights[n, k].detach(), expected[1], atol=1e-12)
    assert weights[1, :, 3:].abs().max() == 0
