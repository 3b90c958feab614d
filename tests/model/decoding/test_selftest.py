"""The self-test must see every dependence on company that the engine's fixed shapes cannot undo."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.selftest import rows_are_independent
from model.decoding.torch.inference_network import InferenceNetwork
from model.network.seq2seq import Seq2Seq

MakeNetwork = Callable[..., Seq2Seq]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
def test_this_machine_passes(make_network: MakeNetwork, dtype: torch.dtype) -> None:
    assert rows_are_independent(make_network(), dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_this_machine_passes_with_vectors(vector_checkpoint: Path, dtype: torch.dtype) -> None:
    assert rows_are_independent(load_checkpoint(vector_checkpoint).network, dtype)


def test_vectors_that_grow_with_the_number_of_sentences(
    vector_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = load_checkpoint(vector_checkpoint).network
    honest = network.log_scores
    monkeypatch.setattr(network, "log_scores", lambda *args: honest(*args) * (1 + len(args[0])))
    monkeypatch.setattr("model.decoding.selftest.runnable", lambda given, dtype: given)
    assert not rows_are_independent(network, torch.float32)


def test_scores_that_grow_with_the_number_of_sentences(
    make_network: MakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = InferenceNetwork(make_network(), torch.float32)
    honest = network.log_scores

    def biased(*args: Tensor) -> Tensor:
        scores = honest(*args)  # type: ignore[arg-type]
        return scores * (1 + len(scores) / 1000)

    monkeypatch.setattr(network, "log_scores", biased)
    assert not rows_are_independent(network, torch.float32)


@pytest.mark.parametrize("rows", [16, 32, 48])
def test_a_matrix_product_that_sums_in_another_order_above_some_rows(
    make_network: MakeNetwork, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """As a matrix library would: only the last bits change, and up to `rows` rows not even they."""
    honest = F.linear
    counts: set[int] = set()

    def halves_first(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if x.dim() == 2:
            counts.add(len(x))
        if x.dim() != 2 or len(x) <= rows:
            return honest(x, weight, bias)
        half = x.shape[1] // 2
        return honest(x[:, :half], weight[:, :half]) + honest(x[:, half:], weight[:, half:], bias)

    monkeypatch.setattr(F, "linear", halves_first)
    assert not rows_are_independent(make_network(), torch.float32)
    assert {16, 32, 48, 64} <= counts


def test_a_row_that_depends_on_its_place(
    make_network: MakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a kernel treats its last rows in another way."""
    network = InferenceNetwork(make_network(), torch.float32)
    honest = network.log_scores

    def odd_at_the_end(features: Tensor, weights: Tensor, memory: object) -> Tensor:
        scores = honest(features, weights, memory)  # type: ignore[arg-type]
        return torch.cat([scores[:10], scores[10:] * (1 + 2**-20)])

    monkeypatch.setattr(network, "log_scores", odd_at_the_end)
    assert not rows_are_independent(network, torch.float32)
