"""Guided alignment: the cross entropy by hand, and which alignments a table gives."""

import numpy as np
import pytest
import torch

from training.data.batching import Rows, collate
from training.lexical.aligner import Aligner
from training.lexical.ibm_model1 import NULL_ID, TranslationTable
from training.losses.guided_alignment import alignment_cross_entropy


def test_hand_computed_cross_entropy() -> None:
    attention = torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.1, 0.9]], requires_grad=True)
    positions, weights = torch.tensor([0, 1, -1]), torch.tensor([1.0, 2.0, 5.0])
    loss = alignment_cross_entropy(attention, positions, weights)
    assert loss.item() == pytest.approx(0.6931472 + 2 * 0.2876821)  # the third is not aligned
    loss.backward()  # type: ignore[no-untyped-call]
    assert attention.grad is not None
    expected = torch.tensor([[-1 / 0.5, 0], [0, -2 / 0.75], [0, 0]])
    torch.testing.assert_close(attention.grad, expected)


def test_each_piece_is_aligned_to_its_most_probable_source() -> None:
    rows = [(NULL_ID, 7, 0.1), (NULL_ID, 8, 0.4), (5, 7, 0.9), (5, 8, 0.1), (6, 8, 0.5), (9, 4, 1)]
    source, target, probability = (np.array(column) for column in zip(*rows, strict=True))
    table = TranslationTable(
        source=source, target=target, probability=probability, log_likelihood=[]
    )
    aligner = Aligner.of(table, 10, torch.device("cpu"))
    batch = collate(
        Rows.unweighted(
            [np.array([5, 6]), np.array([6]), np.array([5, 9, 9])],
            [np.array([8, 7, 9]), np.array([8, 7]), np.array([8, 4])],
        )
    )
    # 8 from 6 (0.5 against 0.4 of NULL), 7 from 5, 9 from nothing, EOS never;
    # alone with 6, 7 comes from NULL, not from the padding, whose id is NULL's; with 5, 8 from
    # NULL; of two 9 the first.
    assert aligner.positions(batch).tolist() == [1, 0, -1, -1, 0, -1, -1, -1, 1, -1]
