"""The network's contract: unroll equals step, padding changes nothing, tying shares one matrix."""

import pytest
import torch

from model.config import ModelConfig
from model.network.dropout import share_masks
from model.network.seq2seq import Seq2Seq


def network(
    *,
    cell: str = "lstm",
    input_feeding: bool = False,
    heads: int = 1,
    tied: bool = True,
    coverage: bool = False,
) -> Seq2Seq:
    torch.manual_seed(0)
    built = Seq2Seq(
        ModelConfig(
            vocab_size=13,
            embedding_size=6,
            encoder_size=8,
            decoder_size=8,
            cell=cell,  # type: ignore[arg-type]
            attention_heads=heads,
            input_feeding=input_feeding,
            tie_embeddings=tied,
            coverage=coverage,
        )
    )
    if built.decoder.attention.coverage is not None:
        built.decoder.attention.coverage.data.fill_(-0.8)
    return built.double().eval()


SRC = torch.tensor([[5, 6, 7, 3, 0], [8, 9, 10, 11, 3]])
LENGTHS = torch.tensor([4, 5])
TGT_IN = torch.tensor([[2, 7, 8, 9], [2, 12, 11, 10]])


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize(("input_feeding", "heads"), [(False, 1), (False, 4), (True, 1)])
@pytest.mark.parametrize("coverage", [False, True])
def test_unroll_equals_repeated_step(
    coverage: bool, input_feeding: bool, heads: int, cell: str, tied: bool
) -> None:
    model = network(
        cell=cell, input_feeding=input_feeding, heads=heads, tied=tied, coverage=coverage
    )
    memory = model.encode(SRC, LENGTHS)
    features, weights = model.unroll(TGT_IN, model.start(memory), memory)
    state = model.start(memory)
    for t in range(TGT_IN.shape[1]):
        state, feature, weight = model.step(TGT_IN[:, t : t + 1], state, memory)
        torch.testing.assert_close(feature, features[:, t : t + 1], rtol=0, atol=1e-12)
        torch.testing.assert_close(weight, weights[:, t : t + 1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("coverage", [False, True])
@pytest.mark.parametrize("input_feeding", [False, True])
def test_padding_and_company_change_nothing(input_feeding: bool, coverage: bool) -> None:
    model = network(input_feeding=input_feeding, coverage=coverage)
    memory = model.encode(SRC, LENGTHS)
    features, _ = model.unroll(TGT_IN, model.start(memory), memory)
    alone = model.encode(SRC[:1, :4], LENGTHS[:1])
    expected, _ = model.unroll(TGT_IN[:1], model.start(alone), alone)
    torch.testing.assert_close(features[:1], expected, rtol=0, atol=1e-12)


def test_hypotheses_are_queries_against_one_memory() -> None:
    model = network()
    memory = model.encode(SRC, LENGTHS)
    rows = torch.tensor([0, 0, 0, 1, 1, 1])
    token = torch.tensor([[4, 5, 6], [7, 8, 9]])
    state, features, weights = model.step(token, model.start(memory).select(rows), memory)
    assert state.hidden.shape == (6, 2, 8)
    for k in range(3):
        _, feature, weight = model.step(token[:, k : k + 1], model.start(memory), memory)
        torch.testing.assert_close(features[:, k : k + 1], feature, rtol=0, atol=1e-12)
        torch.testing.assert_close(weights[:, k : k + 1], weight, rtol=0, atol=1e-12)


def test_the_query_sees_no_feedback_by_default_and_the_last_context_with_input_feeding() -> None:
    for input_feeding, width in ((False, 0), (True, 8)):
        model = network(input_feeding=input_feeding)
        memory = model.encode(SRC, LENGTHS)
        state = model.start(memory)
        assert state.attentional.shape == (2, width)
        state, _, _ = model.step(TGT_IN[:, :1], state, memory)
        _, first, _ = model.step(TGT_IN[:, 1:2], state, memory)
        blind = state._replace(attentional=torch.zeros_like(state.attentional))
        _, second, _ = model.step(TGT_IN[:, 1:2], blind, memory)
        assert torch.equal(first, second) is not input_feeding


def test_tying_shares_one_matrix_three_ways() -> None:
    tied, untied = network(), network(tied=False)
    assert tied.source_embedding.weight is tied.target_embedding.weight is tied.output.weight
    names = {name for name, _ in untied.named_parameters()}
    assert {"source_embedding.weight", "target_embedding.weight", "output.weight"} <= names


def test_bridge_ignores_padding() -> None:
    model = network()
    memory = model.encode(SRC, LENGTHS)
    changed = memory._replace(values=memory.values.masked_fill(~memory.mask.unsqueeze(2), 9.0))
    for ours, theirs in zip(model.start(memory), model.start(changed), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("input_feeding", [False, True])
def test_variational_dropout_drops_the_same_units_at_each_timestep(
    input_feeding: bool, shared: bool
) -> None:
    """Without a way for time to differ, features do: dropped units are 0 in all or in some."""
    model = network(input_feeding=input_feeding, tied=False)  # features are the dropped vector
    if shared:
        share_masks(model)
    model.train()
    memory = model.encode(SRC, LENGTHS)
    tgt_in = torch.full((2, 12), 7)
    features, _ = model.unroll(tgt_in, model.start(memory), memory)
    dropped = features == 0  # (N, T, F)
    assert dropped.any()
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped)) is shared
    assert not torch.equal(dropped[0], dropped[1])


def test_variational_dropout_does_not_need_gradients() -> None:
    """As in the first pass of scheduled sampling, which fills up the rows of a step."""
    model = network(input_feeding=True)
    share_masks(model)
    model.train()
    found = []
    for needed in (True, False):
        torch.manual_seed(1)
        with torch.set_grad_enabled(needed):
            memory = model.encode(SRC, LENGTHS)
            found.append(model.unroll(TGT_IN, model.start(memory), memory)[0])
    torch.testing.assert_close(*found)
