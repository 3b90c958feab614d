"""Minimum risk: expectation and gradient by hand, and against autograd over whole candidates."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import sacrebleu
import torch

from model.config import ModelConfig
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import Tokenizer
from training.config.objective_config import ObjectiveConfig
from training.config.train_config import load_config
from training.data.batching import Batch, Rows, collate
from training.losses.make_objective import make_objective
from training.losses.minimum_risk import (
    RiskCandidates,
    RiskMeasure,
    draw_candidates,
    expected_risk,
    risk_loss,
    score_named,
)


def test_hand_computed_risk_and_gradient() -> None:
    """Probabilities 0.6 and 0.3, risks 0 and 0.9: Q = (2/3, 1/3) and R = 0.3 where alpha is 1."""
    log_prob = torch.tensor([[0.6, 0.3, 0.0]]).log()  # the third is no candidate
    risk = torch.tensor([[0.0, 0.9, 0.0]])
    expected, gradient = expected_risk(log_prob, risk, 1.0)
    assert expected.item() == pytest.approx(0.3)
    assert gradient[0].tolist() == pytest.approx([-0.2, 0.2, 0.0])
    expected, gradient = expected_risk(log_prob, risk, 0.5)
    q = math.sqrt(0.3) / (math.sqrt(0.6) + math.sqrt(0.3))
    assert expected.item() == pytest.approx(0.9 * q)
    assert gradient[0, 1].item() == pytest.approx(0.5 * q * (0.9 - 0.9 * q))


@pytest.mark.parametrize("name", ["bleu", "chrf", "rouge"])
def test_scores_are_from_0_to_1_and_order_translations(
    name: Literal["bleu", "chrf", "rouge"],
) -> None:
    score: Callable[[str, str], float] = score_named(name, "13a")
    right = "the small house in the street"
    worse, bad = score("the small dog in a street", right), score("zzz", right)
    assert score(right, right) == pytest.approx(1)
    assert 0 <= bad < worse < 1


@pytest.fixture(params=[False, True], ids=["plain", "copies"])
def network(tiny_tokenizer: Tokenizer, request: pytest.FixtureRequest) -> Seq2Seq:
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=tiny_tokenizer.vocab_size,
        copy=request.param,
        embedding_size=8,
        encoder_size=8,
        decoder_size=8,
        dropout=0.0,
        embedding_dropout=0.0,
    )
    return Seq2Seq(config).double().train()


@pytest.fixture
def batch(tiny_tokenizer: Tokenizer) -> Batch:
    sides = [["ein Haus", "der Hund"], ["a house", "the red dog sleeps"]]
    sources, targets = (
        [np.array(tiny_tokenizer.encode(line), np.int32) for line in side] for side in sides
    )
    return collate(Rows.unweighted(sources, targets)._replace(weights=np.array([1, 3], np.float32)))


@pytest.fixture
def measure(tiny_tokenizer: Tokenizer) -> RiskMeasure:
    config = ObjectiveConfig(risk_weight=1, risk="chrf", risk_samples=4, risk_sharpness=0.3)
    return RiskMeasure.of(config, tiny_tokenizer, "13a")


def drawn(network: Seq2Seq, batch: Batch, measure: RiskMeasure) -> RiskCandidates:
    torch.manual_seed(7)
    return draw_candidates(network, batch, measure)


def test_candidates_are_the_reference_and_distinct_samples(
    network: Seq2Seq, batch: Batch, measure: RiskMeasure
) -> None:
    candidates = drawn(network, batch, measure)
    assert network.training
    for row, words in ((0, 2), (1, 4)):
        own = [i for i, sentence in enumerate(candidates.sentence) if sentence == row]
        pieces = [tuple(candidates.pieces[i].tolist()) for i in own]
        assert len(measure.tokenizer.target.decode(pieces[0]).split()) == words
        assert candidates.risk[own[0]] == pytest.approx(0, abs=1e-6)
        assert 3 <= len(set(pieces)) == len(pieces) <= 5
        assert all(0 < candidates.risk[i] <= 1 for i in own[1:])
    again = drawn(network, batch, measure)
    assert again.risk == candidates.risk
    torch.manual_seed(8)
    assert draw_candidates(network, batch, measure).risk != candidates.risk


def log_probabilities(
    network: Seq2Seq, features: torch.Tensor, attention: torch.Tensor, src: torch.Tensor
) -> torch.Tensor:
    """log P (T, V) by See et al. 2017, eq. 9, for features (T, F) and attention (T, S)."""
    generated = network.output(features).softmax(-1)
    if network.copy_gate is None:
        return torch.as_tensor(generated.log())
    share = network.copy_gate(features).sigmoid()
    copied = torch.zeros_like(generated).index_add(1, src, attention)
    return torch.as_tensor(((1 - share) * generated + share * copied).log())


def test_value_and_gradient_equal_autograd_over_the_definition(
    network: Seq2Seq, batch: Batch, measure: RiskMeasure
) -> None:
    candidates = drawn(network, batch, measure)
    total = torch.zeros((), dtype=torch.float64)
    for row, weight in ((0, 1.0), (1, 3.0)):
        own = [i for i, sentence in enumerate(candidates.sentence) if sentence == row]
        length = int(batch.src_lengths[row])
        log_probs = []
        for i in own:
            ids = candidates.pieces[i].astype(np.int64).tolist()
            memory = network.encode(batch.src[row : row + 1, :length], torch.tensor([length]))
            given = torch.tensor([[2, *ids]])
            features, weights = network.unroll(given, network.start(memory), memory)
            log_p = log_probabilities(network, features[0], weights[0], memory.src[0])
            log_probs.append(log_p.gather(1, torch.tensor([*ids, 3]).unsqueeze(1)).sum())
        q = (0.3 * torch.stack(log_probs)).softmax(0)
        risk = torch.tensor([candidates.risk[i] for i in own], dtype=torch.float64)
        pieces = int((batch.real // batch.tgt_in.shape[1] == row).sum())
        total = total + weight * pieces * (q * risk).sum()
    parameters = list(network.parameters())
    expected = torch.autograd.grad(total, parameters)
    torch.manual_seed(7)
    memory = network.encode(batch.src, batch.src_lengths)
    loss = risk_loss(network, batch, memory, measure)
    torch.testing.assert_close(loss, total)
    for ours, theirs in zip(torch.autograd.grad(loss, parameters), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-9)


def test_no_pairs_have_no_risk(network: Seq2Seq, measure: RiskMeasure) -> None:
    nothing = collate(Rows.unweighted([], []))
    memory: Memory = network.encode(nothing.src, nothing.src_lengths)
    assert risk_loss(network, nothing, memory, measure).item() == 0


def test_bleu_counts_the_words_of_the_language() -> None:
    right, near = "วันนี้อากาศดีมาก", "วันนี้อากาศดี"
    for tokenize in ("char", "auto"):
        score = score_named("bleu", tokenize)
        assert score(right, right) == pytest.approx(1)
        assert 0.5 < score(near, right) < 1
    assert score_named("bleu", "13a")(near, right) == 0
    expected = sacrebleu.sentence_bleu(near, [right], tokenize="char").score / 100
    assert score_named("bleu", "char")(near, right) == expected


def test_the_risk_counts_words_as_the_validation_does(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    risked = []
    for tokenize in ("char", "13a"):
        settings = ["objective.risk_weight=0.5", f"validation.tokenize={tokenize}"]
        config = load_config(tiny_config, settings)
        cpu = torch.device("cpu")
        measure = make_objective(config, lambda: ([], []), tiny_tokenizer, cpu).measure
        assert measure
        risked.append(measure.score("วันนี้อากาศดี", "วันนี้อากาศดีมาก") > 0.5)
    assert risked == [True, False]
