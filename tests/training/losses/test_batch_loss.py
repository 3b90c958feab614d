"""The loss of a batch: each term in its place, with its weight, against the terms written out."""

import numpy as np
import pytest
import torch
from torch import Tensor

from model.config import ModelConfig
from model.network.dropout import share_masks
from model.network.encoder import Encoder, reversal, reverse
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import PAD_ID, Tokenizer
from training.config.objective_config import ObjectiveConfig
from training.data.batching import Batch, Rows, collate
from training.lexical.aligner import Aligner
from training.losses.batch_loss import Objective, batch_loss
from training.losses.minimum_risk import RiskMeasure
from training.losses.rdrop import doubled

VOCAB = 30


def network(
    seed: int, dropout: float = 0.0, vocab_size: int = VOCAB, copies: bool = False
) -> Seq2Seq:
    torch.manual_seed(seed)
    config = ModelConfig(
        vocab_size=vocab_size,
        embedding_size=8,
        encoder_size=8,
        decoder_size=8,
        dropout=dropout,
        embedding_dropout=dropout,
        copy=copies,
        coverage=copies,
    )
    built = Seq2Seq(config).double().train()
    with torch.no_grad():
        built.output.weight *= 4
    return built


@pytest.fixture
def batch() -> Batch:
    sources = [np.array([9, 8, 7]), np.array([7])]
    targets = [np.array([5, 6]), np.array([6, 4, 9])]
    weights = np.array([1, 2.5], np.float32)
    return collate(Rows.unweighted(sources, targets)._replace(weights=weights))


def log_p(model: Seq2Seq, batch: Batch) -> tuple[Tensor, Tensor]:
    """log p (M, V) and attention (M, S)."""
    memory = model.encode(batch.src, batch.src_lengths)
    features, weights = model.unroll(batch.tgt_in, model.start(memory), memory)
    scores = model.log_scores(features, weights, memory).log_softmax(-1)
    return scores.flatten(0, 1)[batch.real], weights.flatten(0, 1)[batch.real]


def likelihood(logs: Tensor, batch: Batch, smoothing: float) -> Tensor:
    nll = -logs.gather(1, batch.tgt_out.unsqueeze(1)).squeeze(1)
    others = -logs[:, torch.arange(VOCAB) != PAD_ID].mean(1)
    return (((1 - smoothing) * nll + smoothing * others) * batch.weights).sum()


def loss(model: Seq2Seq, batch: Batch, objective: Objective) -> Tensor:
    torch.manual_seed(5)
    return batch_loss(model, batch, objective, step=1, dtype=torch.float32).smoothed


def gradients(model: Seq2Seq, value: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(value, list(model.parameters())))


def test_without_terms_it_is_the_smoothed_likelihood(batch: Batch) -> None:
    model = network(1)
    expected = likelihood(log_p(model, batch)[0], batch, 0.1)
    torch.testing.assert_close(loss(model, batch, Objective(smoothing=0.1)), expected)


def test_rdrop_is_the_mean_of_two_passes_and_half_of_alpha_times_their_divergence(
    batch: Batch,
) -> None:
    model = network(1, dropout=0.3)
    objective = Objective(smoothing=0.1, config=ObjectiveConfig(rdrop=2.0))
    torch.manual_seed(5)
    first, second = log_p(model, doubled(batch))[0].chunk(2)
    means = (likelihood(first, batch, 0.1) + likelihood(second, batch, 0.1)) / 2
    one_way = (first.exp() * (first - second)).sum(1)
    other_way = (second.exp() * (second - first)).sum(1)
    divergence = ((one_way + other_way) / 2 * batch.weights).sum()
    assert divergence > 0.1
    ours = loss(model, batch, objective)
    expected = means + 2.0 / 2 * divergence
    torch.testing.assert_close(ours, expected)
    for one, two in zip(gradients(model, ours), gradients(model, expected), strict=True):
        torch.testing.assert_close(one, two)


def test_distillation_shares_the_loss_between_data_and_teacher(batch: Batch) -> None:
    model, teacher = network(1), network(2).eval().requires_grad_(False)
    config = ObjectiveConfig(teacher=("a",), distillation=0.25)  # type: ignore[arg-type]
    ours = loss(model, batch, Objective(smoothing=0.1, config=config, teacher=teacher))
    logs = log_p(model, batch)[0]
    each = -(log_p(teacher, batch)[0].exp() * logs).sum(1)
    expected = 0.75 * likelihood(logs, batch, 0.1) + 0.25 * (each * batch.weights).sum()
    torch.testing.assert_close(ours, expected)


def test_a_network_learns_nothing_from_itself(batch: Batch) -> None:
    model = network(1)
    config = ObjectiveConfig(teacher=("a",), distillation=1.0)  # type: ignore[arg-type]
    twin = network(1).eval().requires_grad_(False)
    ours = loss(model, batch, Objective(smoothing=0.1, config=config, teacher=twin))
    for gradient in gradients(model, ours):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)


def test_guided_alignment_is_added_with_its_weight(batch: Batch) -> None:
    model = network(1)
    keys = torch.tensor([9 * VOCAB + 6, 8 * VOCAB + 5, 7 * VOCAB + 4]).sort().values
    aligner = Aligner(keys, torch.ones(3), VOCAB)
    config = ObjectiveConfig(guided_alignment=0.5)
    ours = loss(model, batch, Objective(smoothing=0.1, config=config, aligner=aligner))
    logs, attention = log_p(model, batch)
    # 5 6 EOS from 9 8 7: 5 is from 8, 6 from 9; 6 4 9 EOS from 7: 4 is from 7, with weight 2.5
    at = attention[0, 1].log() + attention[1, 0].log() + 2.5 * attention[4, 0].log()
    torch.testing.assert_close(ours, likelihood(logs, batch, 0.1) - 0.5 * at)


def test_scheduled_sampling_changes_what_is_read_and_not_what_is_predicted(batch: Batch) -> None:
    model = network(1)
    config = ObjectiveConfig(scheduled_sampling=1.0, sampling_schedule="linear")
    objective = Objective(smoothing=0.0, config=config, max_steps=1)  # all pieces at step 1
    best = log_p(model, batch)[0].argmax(1)
    tgt_in = batch.tgt_in.clone()
    tgt_in[0, 1:3], tgt_in[1, 1:4] = best[:2], best[3:6]
    expected = likelihood(log_p(model, batch._replace(tgt_in=tgt_in))[0], batch, 0.0)
    torch.testing.assert_close(loss(model, batch, objective), expected)


def everything(tokenizer: Tokenizer) -> Objective:
    config = ObjectiveConfig(
        rdrop=1.0,
        guided_alignment=0.5,
        teacher=("a",),  # type: ignore[arg-type]
        distillation=0.5,
        scheduled_sampling=0.5,
        risk_weight=0.5,
        risk_samples=2,
    )
    size = tokenizer.vocab_size
    return Objective(
        smoothing=0.1,
        config=config,
        teacher=network(2, vocab_size=size).eval().requires_grad_(False),
        aligner=Aligner(torch.tensor([9 * size + 6]), torch.ones(1), size),
        measure=RiskMeasure.of(config, tokenizer, "13a"),
    )


def test_the_sum_over_parts_of_a_batch_is_that_of_the_batch(
    batch: Batch, tiny_tokenizer: Tokenizer
) -> None:
    """What gradient accumulation and several processes rely on; without what is drawn at random."""
    objective = everything(tiny_tokenizer)
    settled = ObjectiveConfig(
        guided_alignment=0.5,
        teacher=("a",),  # type: ignore[arg-type]
        distillation=0.5,
        rdrop=1.0,
    )
    objective = Objective(
        smoothing=0.1, config=settled, teacher=objective.teacher, aligner=objective.aligner
    )
    model = network(1, vocab_size=tiny_tokenizer.vocab_size)
    rows = Rows.unweighted(
        [np.array([9, 8, 7]), np.array([7])], [np.array([5, 6]), np.array([6, 4, 9])]
    )
    whole = loss(model, collate(rows), objective)
    parts = [loss(model, collate(rows.part(number, 3)), objective) for number in range(3)]
    torch.testing.assert_close(sum(parts), whole)


def test_all_terms_together_are_determined_by_the_seed(
    batch: Batch, tiny_tokenizer: Tokenizer
) -> None:
    model = network(1, dropout=0.3, vocab_size=tiny_tokenizer.vocab_size)
    objective = everything(tiny_tokenizer)
    first, second = (loss(model, batch, objective) for _ in range(2))
    assert torch.equal(first, second)
    for one, two in zip(gradients(model, first), gradients(model, second), strict=True):
        assert torch.equal(one, two)
    nothing = loss(model, collate(Rows.unweighted([], [])), objective)
    assert nothing.item() == 0
    assert all(not gradient.any() for gradient in gradients(model, nothing))
    assert objective.teacher is not None
    objective.teacher.float()
    low = batch_loss(model.float(), batch, objective, step=1, dtype=torch.bfloat16)
    assert torch.isfinite(low.smoothed)


class InChunks(Encoder):
    """An encoder whose states are detached in plain sight, every `CHUNK` pieces."""

    CHUNK = 3

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        order = reversal(lengths, embedded.shape[1])
        outputs = embedded
        for number, (ahead, back) in enumerate(zip(self.forwards, self.backwards, strict=True)):
            x = self.dropout(outputs) if number else outputs
            sides = []
            for layer, given in ((ahead, x), (back, reverse(x, order))):
                found, hidden, cell = [], None, None
                for part in given.split(self.CHUNK, dim=1):
                    values, hidden, cell = layer.sequence_and_state(part, hidden, cell)
                    assert hidden is not None and cell is not None
                    hidden, cell = hidden.detach(), cell.detach()
                    found.append(values)
                sides.append(torch.cat(found, dim=1))
            both = torch.cat([sides[0], reverse(sides[1], order)], dim=2)
            outputs = outputs + both if number else both
        return outputs


@pytest.mark.parametrize("over_time", [False, True])
@pytest.mark.parametrize("copies", [False, True])
def test_truncated_gradients_with_other_terms_and_dropout(
    tiny_tokenizer: Tokenizer, copies: bool, over_time: bool
) -> None:
    """R-Drop, both kinds of dropout, and either all other terms or a network that copies."""
    sources = [np.arange(4, 21), np.array([7]), np.arange(9, 17)]
    targets = [np.array([5, 6]), np.array([6, 4, 9]), np.array([5])]
    batch = collate(Rows.unweighted(sources, targets))
    model = network(1, dropout=0.3, vocab_size=tiny_tokenizer.vocab_size, copies=copies)
    if over_time:
        share_masks(model)
    objective = everything(tiny_tokenizer)
    if copies:
        config = ObjectiveConfig(rdrop=1.0, coverage=1.0, coverage_start=0.0)
        objective = Objective(smoothing=0.1, config=config)
    whole = loss(model, batch, objective)
    full = gradients(model, whole)
    model.encoder.truncated_bptt = InChunks.CHUNK
    ours = loss(model, batch, objective)
    found = gradients(model, ours)
    model.encoder.__class__ = InChunks
    expected = loss(model, batch, objective)
    torch.testing.assert_close(ours, whole)
    torch.testing.assert_close(ours, expected)
    for one, two in zip(found, gradients(model, expected), strict=True):
        torch.testing.assert_close(one, two)
    assert any(
        not torch.allclose(one, two, rtol=1e-3) for one, two in zip(found, full, strict=True)
    )
