"""Evaluation of a network of vectors on the dev set: loss by teacher forcing, errors of outputs."""

import math

import numpy as np
import torch

from model.network.seq2seq import Seq2Seq
from model.text.vocabulary import Vocabulary
from model.vector_transducer import VectorTransducer
from model.vectors.frame_files import Frames
from model.vectors.vector_form import VectorForm
from training.validation.corpus_scores import Score
from training.validation.evaluation import ROWS, Evaluation
from training.vectors.ready_data import Evaluate
from training.vectors.vector_batch import VectorRows
from training.vectors.vector_corpus import VectorCorpus
from training.vectors.vector_loss import VectorLossKind, vector_loss
from training.vectors.vector_scores import vector_scores


def vector_evaluation(
    corpus: VectorCorpus[Frames, Frames] | VectorCorpus[str, Frames],
    rows: VectorRows,
    form: VectorForm,
    lines: Vocabulary | None,
    *,
    loss: VectorLossKind,
    most: int,
) -> Evaluate:
    """What scores a network (in eval mode, fp32) on the first pairs of `corpus`.

    Args:
        rows: the same pairs, normalised.
        lines: makes ids of sources that are lines; None if they are vectors.
        most: steps of the longest source.
    """

    def evaluate(
        network: Seq2Seq, first: int, device: torch.device, dtype: torch.dtype
    ) -> Evaluation:
        """Decoding runs in `dtype`."""
        pairs = corpus.first(first)
        value = mean_loss(network, rows.only(np.arange(first)), loss, device)
        if math.isfinite(value):
            transducer = VectorTransducer(
                network, form, lines, device=device, dtype=dtype, most=most
            )
            outputs = transducer.transduce(pairs.sources)
            scores = vector_scores(outputs, pairs.targets, bootstrap=0)
        else:  # it has diverged; the training may recover
            names = ("mae", "rmse", "last_step_percent")
            scores = {name: Score(value=math.nan, interval=None, signature="") for name in names}
        return Evaluation(
            loss=value,
            scores=scores,
            translations=[],
            samples=[],
            calibration=None,
            likelihood=False,
        )

    return evaluate


@torch.inference_mode()
def mean_loss(
    network: Seq2Seq, rows: VectorRows, kind: VectorLossKind, device: torch.device
) -> float:
    """The loss for a target vector, in fp32."""
    _, targets = rows.lengths()
    order = targets.argsort(kind="stable")
    total = 0.0
    for start in range(0, len(order), ROWS):
        batch = rows.only(order[start : start + ROWS]).padded().to(device)
        total += vector_loss(network, batch, kind).item()
    return total / rows.target_tokens
