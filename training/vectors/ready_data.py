"""ReadyData: all that a session on vectors asks of its data, whatever the targets are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from model.decoding.options import SearchOptions
from model.network.seq2seq import Seq2Seq
from model.text.profile import TextProfile
from model.text.vocabulary import Vocabulary
from model.vectors.vector_form import VectorForm
from training.config.validation_config import ValidationConfig
from training.data.corpus_report import CorpusReport
from training.loop.trainer import LossOf
from training.validation.evaluation import Evaluation
from training.vectors.frame_rows import FrameRows

Evaluate = Callable[[Seq2Seq, int, torch.device, torch.dtype], Evaluation]
"""Scores a network, in eval mode and fp32, on the first pairs of the dev set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadyData:
    """The pairs of a run as its network learns them. `vector_data` and `line_data` make it."""

    rows: FrameRows[Any]
    """The training pairs."""
    reports: Mapping[str, CorpusReport]
    """On "train" and "dev"."""
    digests: Mapping[str, str]
    """SHA-256 of both, by their names in a checkpoint."""
    statistics: dict[str, Tensor]
    """By the names of the parameters that hold them."""
    vocabulary: Vocabulary | VectorForm
    """What a checkpoint is saved with, beside the network."""
    search: SearchOptions
    objective: LossOf
    dev_size: int
    """Pairs of the dev set."""
    validation: ValidationConfig
    """Resolved."""
    evaluate: Evaluate
    reads: Vocabulary | None = None
    """What makes ids of sources that are lines."""
    profile: TextProfile | None = None
    """Of a target of text."""


def digests_of(train: str, dev: str) -> dict[str, str]:
    """The digests of a run, by their names in a checkpoint."""
    return {
        "data_digest": train,
        "dev_digest": dev,
        "old_dev_digest": "",
        "teacher_digest": "",
    }
