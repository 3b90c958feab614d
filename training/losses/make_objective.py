"""The objective of a config, with the teacher, the aligner and the risk that it needs."""

from collections.abc import Callable, Sequence

import torch

from model.text.vocabulary import Vocabulary
from training.config.train_config import TrainConfig
from training.data.batching import Ids
from training.lexical.aligner import learn_aligner
from training.losses.batch_loss import Objective
from training.losses.distillation import load_teacher
from training.losses.minimum_risk import RiskMeasure


def make_objective(
    config: TrainConfig,
    pairs: Callable[[], tuple[Sequence[Ids], Sequence[Ids]]],
    tokenizer: Vocabulary,
    device: torch.device,
) -> Objective:
    """Load or learn the parts that the objective of `config` needs.

    Args:
        pairs: returns the sources and targets that alignments are learned from.

    Raises:
        CheckpointError, ConfigError: the teacher cannot be loaded or has another tokenizer.
    """
    wanted, tokenize, aligner = config.objective, config.validation.tokenize, None
    if wanted.guided_alignment:
        links, size = config.shortlist.max_links, tokenizer.vocab_size
        aligner = learn_aligner(*pairs(), vocab_size=size, max_links=links, device=device)
    return Objective(
        smoothing=config.optimizer.label_smoothing,
        config=wanted,
        max_steps=config.run.max_steps or 1,  # only scheduled sampling asks, which needs one
        teacher=load_teacher(wanted.teacher, tokenizer).to(device) if wanted.teacher else None,
        aligner=aligner,
        measure=RiskMeasure.of(wanted, tokenizer, tokenize) if wanted.risk_weight else None,
    )
