"""Word-level distillation from a teacher's distribution (Hinton 2015; Kim & Rush 2016)."""

# Shapes: N sentences, T target length, M target pieces, m of them in a chunk, B passes, F feature
# size, V vocabulary.

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from model.checkpoint.checkpoint import load_checkpoint
from model.checkpoint.manifest import read_manifest
from model.checkpoint.run_directory import resolve
from model.errors import ConfigError
from model.network.seq2seq import Seq2Seq
from model.text.vocabulary import Vocabulary
from model.translation.ensemble import network_of
from training.data.batching import Batch


def load_teacher(paths: Sequence[Path], tokenizer: Vocabulary) -> Seq2Seq:
    """Load the network of a run or checkpoint, or the ensemble of several, in eval mode.

    Raises:
        CheckpointError: there is none, or it is damaged.
        ConfigError: its pieces are not those of `tokenizer`.
    """
    checkpoints = [load_checkpoint(path) for path in paths]
    for checkpoint in checkpoints:
        if checkpoint.vocabulary.model != tokenizer.model:
            raise ConfigError(
                f"objective.teacher: {checkpoint.path} has another tokenizer than this training. "
                "Leave tokenizer.model out to have that of the first teacher, or distil sentences "
                "by dragoman-distill."
            )
    return network_of(checkpoints).requires_grad_(False)


def teacher_digest(paths: Sequence[Path]) -> str:
    """Compute SHA-256 of the checkpoints that `paths` are now; links move as training goes on.

    Raises:
        CheckpointError: there is none.
    """
    digests = [read_manifest(resolve(path)).digest for path in paths]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def teacher_distribution(teacher: Seq2Seq, batch: Batch) -> Callable[[slice], Tensor]:
    """Compute the teacher's probabilities (m, V) of all pieces, for any rows of the M of `batch`.

    What the teacher read is kept as features (M, F), not as (M, V) probabilities.
    """
    device = batch.src.device.type
    autocast = torch.autocast(
        device, dtype=torch.get_autocast_dtype(device), enabled=torch.is_autocast_enabled(device)
    )
    with torch.no_grad():
        memory = teacher.encode(batch.src, batch.src_lengths)
        features, weights = teacher.unroll(batch.tgt_in, teacher.start(memory), memory)
        real = features.flatten(0, 1).index_select(0, batch.real).unsqueeze(1)  # (M, 1, F)
        attention = weights.flatten(0, 1).index_select(0, batch.real).unsqueeze(1)
        # What each of them may copy.
        src = memory.src.index_select(0, batch.real // batch.tgt_in.shape[1])  # (M, S)

    def probabilities(rows: slice) -> Tensor:
        with torch.no_grad(), autocast:
            own = memory._replace(src=src[rows])
            scores = teacher.log_scores(real[rows], attention[rows], own).squeeze(1)
        return scores.to(torch.promote_types(scores.dtype, torch.float32)).softmax(dim=-1)

    return probabilities


def teacher_cross_entropy(logits: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
    """Sum () over pieces of the cross entropy of the student, logits (B, m, V); eq. 4, 5:

        L_WORD-KD = -sum_j sum_k q(t_j = k | s, t_<j) log p(t_j = k | s, t_<j)

    with q = `teacher` (m, V). Each piece counts `weights` (m,) times; of B passes the mean.
    """
    each = -(teacher * logits.log_softmax(dim=-1)).sum(dim=-1)  # (B, m)
    return (each.mean(dim=0) * weights).sum()
