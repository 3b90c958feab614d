"""What the objective of a config needs before the first update: teacher, alignments, risk."""

from collections.abc import Callable, Sequence

import torch

from model.text.tokenizer import Tokenizer
from training.batching import Ids
from training.config import TrainConfig
from training.distillation import load_teacher
from training.forward import Objective
from training.guided import Aligner
from training.risk import RiskMeasure
from training.shortlist import ITERATIONS, even_rows
from training.translation_table import learn_table, num_links


def make_objective(
    config: TrainConfig,
    pairs: Callable[[], tuple[Sequence[Ids], Sequence[Ids]]],
    tokenizer: Tokenizer,
    device: torch.device,
) -> Objective:
    """The objective of `config`.

    Args:
        pairs: gives the sources and targets that alignments are learned from.

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
        max_steps=config.run.max_steps,
        teacher=load_teacher(wanted.teacher, tokenizer).to(device) if wanted.teacher else None,
        aligner=aligner,
        measure=RiskMeasure.of(wanted, tokenizer, tokenize) if wanted.risk_weight else None,
    )


def learn_aligner(
    sources: Sequence[Ids],
    targets: Sequence[Ids],
    *,
    vocab_size: int,
    max_links: int,
    device: torch.device,
) -> Aligner:
    """An aligner of IBM model 1; of a corpus with more than `max_links` links an even sample."""
    rows = even_rows(num_links(sources, targets), max_links)
    table = learn_table(
        [sources[row] for row in rows],
        [targets[row] for row in rows],
        vocab_size=vocab_size,
        iterations=ITERATIONS,
    )
    return Aligner.of(table, vocab_size, device)
