"""Word-level distillation: the cross entropy by hand, and the teacher's own distribution."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.config import ModelConfig
from model.errors import ConfigError
from model.network.seq2seq import Seq2Seq
from model.pack import main as pack
from model.text.tokenizer import Tokenizer
from model.translation.ensemble import Ensemble
from training.config.train_config import load_config
from training.data.batching import Rows, collate
from training.data.learn_tokenizer import learn_tokenizer, make_tokenizer
from training.losses.distillation import load_teacher, teacher_cross_entropy, teacher_distribution


def test_hand_computed_cross_entropy() -> None:
    """q = (1/4, 3/4): against (1/2, 1/2) it is ln 2, against itself its entropy 0.5623351."""
    logits = torch.tensor([[[0.5, 0.5]], [[0.25, 0.75]]]).log()
    found = teacher_cross_entropy(logits, torch.tensor([[0.25, 0.75]]), torch.tensor([2.0]))
    assert found.item() == pytest.approx(2 * (0.6931472 + 0.5623351) / 2)


def test_the_distribution_is_the_softmax_over_the_teachers_scores(
    tiny_checkpoint: Path, tiny_tokenizer: Tokenizer
) -> None:
    teacher = load_teacher([tiny_checkpoint], tiny_tokenizer)
    twice = load_teacher([tiny_checkpoint, tiny_checkpoint], tiny_tokenizer)
    pairs = Rows.unweighted([np.array([9, 8]), np.array([7])], [np.array([5]), np.array([6, 4])])
    batch = collate(pairs)
    memory = teacher.encode(batch.src, batch.src_lengths)
    features, weights = teacher.unroll(batch.tgt_in, teacher.start(memory), memory)
    expected = teacher.log_scores(features, weights, memory).softmax(-1).flatten(0, 1)[batch.real]
    for network in (teacher, twice):
        found = teacher_distribution(network, batch)
        both = torch.cat([found(slice(0, 2)), found(slice(2, 5))])
        torch.testing.assert_close(both, expected, rtol=1e-4, atol=1e-7)
    assert not any(p.requires_grad for p in twice.parameters())


def test_a_teacher_that_copies_is_read_with_what_it_copies() -> None:
    """Of sources of different lengths, each by its own; also among others in an ensemble."""
    teachers = []
    for seed, copy in enumerate((True, False)):
        torch.manual_seed(seed)
        config = ModelConfig(vocab_size=12, embedding_size=8, copy=copy, coverage=copy)
        teachers.append(Seq2Seq(config).eval().requires_grad_(False))
    pairs = Rows.unweighted([np.array([9, 8, 9]), np.array([7])], [np.array([9]), np.array([6, 7])])
    batch = collate(pairs)
    for teacher in (teachers[0], Ensemble(teachers)):
        memory = teacher.encode(batch.src, batch.src_lengths)
        features, weights = teacher.unroll(batch.tgt_in, teacher.start(memory), memory)
        scores = teacher.log_scores(features, weights, memory).softmax(-1)
        found = teacher_distribution(teacher, batch)
        both = torch.cat([found(slice(0, 2)), found(slice(2, 5))])
        torch.testing.assert_close(both, scores.flatten(0, 1)[batch.real], rtol=1e-4, atol=1e-7)


def test_the_tokenizer_is_that_of_the_teacher_unless_another_is_named(
    tiny_config: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    teacher = tmp_path / "x.dragoman"
    assert pack([str(tiny_checkpoint), "--output", str(teacher)]) == 0
    taught = [f"objective.teacher=[{teacher}]", "objective.distillation=0.5"]
    model = load_checkpoint(tiny_checkpoint).tokenizer.model
    assert make_tokenizer(load_config(tiny_config, taught)).model == model
    other = Tokenizer(learn_tokenizer(["one two three"], kind="bpe", vocab_size=275))
    (tmp_path / "other.model").write_bytes(other.model)
    named = [*taught, f"tokenizer.model={tmp_path / 'other.model'}"]
    assert make_tokenizer(load_config(tiny_config, named)).model == other.model


def test_another_tokenizer_is_refused(tiny_checkpoint: Path) -> None:
    other = Tokenizer(learn_tokenizer(["one two three"], kind="bpe", vocab_size=275))
    with pytest.raises(ConfigError, match=r"objective\.teacher: .* another tokenizer"):
        load_teacher([tiny_checkpoint], other)
