"""The loss of a batch under teacher forcing: from ids to the loss, with all its terms."""

# Shapes: N sentences, T target length, S source length, M real target pieces, B passes (2 with
# R-Drop, else 1), m pieces of a chunk, F feature size, V vocabulary.

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from training.config.objective_config import ObjectiveConfig
from training.data.batching import Batch
from training.lexical.aligner import Aligner
from training.losses.coverage_loss import coverage_overlap
from training.losses.distillation import teacher_cross_entropy, teacher_distribution
from training.losses.guided_alignment import alignment_cross_entropy
from training.losses.likelihood import likelihood
from training.losses.minimum_risk import RiskMeasure, risk_loss
from training.losses.output_loss import Loss, chunked_loss
from training.losses.rdrop import doubled, symmetric_divergence
from training.losses.scheduled_sampling import own_share, with_own_pieces


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Objective:
    """Everything that the loss of a batch depends on, besides the network and the batch."""

    smoothing: float
    config: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    max_steps: int = 1
    """Length of the run, over which scheduled sampling rises."""
    teacher: Seq2Seq | None = None
    """The network of `config.teacher`, in eval mode."""
    aligner: Aligner | None = None
    """Needed where `config.guided_alignment` is above 0."""
    measure: RiskMeasure | None = None
    """Needed where `config.risk_weight` is above 0."""

    def module(self, network: Seq2Seq, dtype: torch.dtype) -> "BatchLoss":
        """The loss of `network`, computed in `dtype`."""
        return BatchLoss(network, self, dtype)


def batch_loss(
    network: Seq2Seq, batch: Batch, objective: Objective, *, step: int, dtype: torch.dtype
) -> Loss:
    """Compute the weighted sums of the losses of a batch, under autocast unless `dtype` is fp32.

    With r the terms' weights, s the smoothed likelihood's loss and d = `distillation`,

        (1 - risk_weight) ((1 - d) s + d L_WORD-KD + rdrop L_KL / 2 + guided_alignment G
                           + coverage C)
            + risk_weight R

    where each term is a sum over the target pieces. `step` is that of scheduled sampling, and C
    counts from `coverage_start` on. The divergence of R-Drop is that of the output layer, also in a
    network that copies.
    """
    config = objective.config
    with torch.autocast(network.device.type, dtype=dtype, enabled=dtype != torch.float32):
        if config.scheduled_sampling:
            batch = batch._replace(tgt_in=_mixed_input(network, batch, objective, step))
        passes = doubled(batch) if config.rdrop else batch
        memory = network.encode(passes.src, passes.src_lengths)
        features, attention = network.unroll(passes.tgt_in, network.start(memory), memory)
        real = features.flatten(0, 1).index_select(0, passes.real)  # (B * M, F)
        smoothed, nll = likelihood(network, passes, real, attention, objective.smoothing)
        if config.rdrop or objective.teacher is not None:
            of_logits = _loss_of_logits(network, batch, objective, real)
            smoothed = (1 - config.distillation) * smoothed + of_logits
        if objective.aligner is not None:
            at = attention.flatten(0, 1).index_select(0, passes.real)  # (B * M, S)
            positions = objective.aligner.positions(passes)
            guided = alignment_cross_entropy(at, positions, passes.weights)
            smoothed = smoothed + config.guided_alignment * guided
        if config.coverage and step >= config.coverage_start * objective.max_steps:
            overlap = coverage_overlap(attention).flatten().index_select(0, passes.real)
            smoothed = smoothed + config.coverage * (overlap * passes.weights).sum()
        if objective.measure is not None:
            first = Memory(*(field[: len(batch.src)] for field in memory))
            risk = risk_loss(network, batch, first, objective.measure)
            smoothed = (1 - config.risk_weight) * smoothed + config.risk_weight * risk
    return Loss(smoothed, nll)


def _mixed_input(network: Seq2Seq, batch: Batch, objective: Objective, step: int) -> Tensor:
    share = own_share(
        step,
        kind=objective.config.sampling_schedule,
        highest=objective.config.scheduled_sampling,
        max_steps=objective.max_steps,
    )
    return with_own_pieces(network, batch, share)


def _loss_of_logits(network: Seq2Seq, batch: Batch, objective: Objective, real: Tensor) -> Tensor:
    """Sum the weighted terms that compare whole distributions, for features (B * M, F)."""
    config, teacher = objective.config, objective.teacher
    taught = teacher_distribution(teacher, batch) if teacher is not None else None

    def of_rows(logits: Tensor, rows: slice) -> Tensor:
        weights, loss = batch.weights[rows], logits.new_zeros(())
        if config.rdrop:
            loss = loss + config.rdrop / 2 * symmetric_divergence(logits, weights)
        if taught is not None:
            divergence = teacher_cross_entropy(logits, taught(rows), weights)
            loss = loss + config.distillation * divergence
        return loss

    passes = 2 if config.rdrop else 1
    features = real.view(passes, len(batch.tgt_out), real.shape[1])  # (B, M, F)
    return chunked_loss(features, network.output, of_rows)


class BatchLoss(nn.Module):
    """The loss as a module, which DistributedDataParallel can wrap and synchronise."""

    def __init__(self, network: Seq2Seq, objective: Objective, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.dtype = dtype

    def forward(self, batch: Batch, step: int) -> Loss:
        """Compute the summed losses of the batch in update `step`."""
        return batch_loss(self.network, batch, self.objective, step=step, dtype=self.dtype)
