"""Batches: every sentence once, budget kept, few shapes, padding told from pieces."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.text.tokenizer import BOS_ID, EOS_ID, PAD_ID
from training.data.batching import (
    LENGTH_MULTIPLE,
    PART_MULTIPLE,
    ROW_MULTIPLE,
    Rows,
    collate,
    plan_epoch,
)

Lengths = NDArray[np.int64]


def rows(sources: list[list[int]], targets: list[list[int]]) -> Rows:
    return Rows(
        [np.array(ids, np.int32) for ids in sources],
        [np.array(ids, np.int32) for ids in targets],
        np.arange(len(sources), dtype=np.float32),
        [np.array(ids, np.int32) + 100 for ids in targets],
    )


def lengths(seed: int) -> tuple[Lengths, Lengths]:
    generator = np.random.default_rng(seed)
    source = generator.integers(1, 40, 700)
    return source, np.maximum(1, source + generator.integers(-5, 6, 700))


def plan(seed: int) -> list[Lengths]:
    source, target = lengths(0)
    return plan_epoch(source, target, batch_tokens=800, generator=np.random.default_rng(seed))


def padded(length: int) -> int:
    return -(-length // LENGTH_MULTIPLE) * LENGTH_MULTIPLE


def test_each_sentence_comes_once_and_the_budget_holds() -> None:
    source, target = lengths(0)
    batches = plan(1)
    assert sorted(np.concatenate(batches)) == list(range(700))
    for rows in batches:
        width = padded(source[rows].max() + 1) + padded(target[rows].max() + 1)
        assert len(rows) * width <= 800


def test_rows_are_multiples_but_for_the_last_batch() -> None:
    odd = [len(rows) for rows in plan(1) if len(rows) % ROW_MULTIPLE and len(rows) > ROW_MULTIPLE]
    assert len(odd) <= 1


def test_same_seed_same_plan_and_another_seed_another() -> None:
    first, second, other = plan(1), plan(1), plan(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert {tuple(rows) for rows in first} != {tuple(rows) for rows in other}


def test_a_sentence_above_the_budget_gets_a_batch_of_its_own() -> None:
    batches = plan_epoch(
        np.array([500, 3]), np.array([500, 3]), batch_tokens=50, generator=np.random.default_rng(0)
    )
    assert sorted(map(len, batches)) == [1, 1]


def test_collate_shifts_pads_and_fills_rows() -> None:
    batch = collate(rows([[7, 8, 9], [5]], [[6], [4, 10]]))
    assert batch.src.shape == (PART_MULTIPLE, padded(4))
    assert batch.src[:3, :4].tolist() == [[7, 8, 9, EOS_ID], [5, EOS_ID, 0, 0], [EOS_ID, 0, 0, 0]]
    assert batch.src_lengths.tolist() == [4, 2] + [1] * (PART_MULTIPLE - 2)
    assert batch.tgt_in[:3, :3].tolist() == [[BOS_ID, 106, 0], [BOS_ID, 104, 110], [PAD_ID] * 3]
    assert batch.tgt_out.tolist() == [6, EOS_ID, 4, 10, EOS_ID]
    assert batch.weights.tolist() == [0, 0, 1, 1, 1]
    assert batch.real.tolist() == [0, 1, *(batch.tgt_in.shape[1] + np.arange(3))]


@pytest.mark.parametrize(("total", "count"), [(7, 1), (7, 3), (6, 3), (2, 5)])
def test_parts_are_nearly_equal_slices_that_are_together_all_rows(total: int, count: int) -> None:
    whole = rows([[number] for number in range(total)], [[-number] for number in range(total)])
    parts = [whole.part(number, count) for number in range(count)]
    for column in ("sources", "targets", "weights", "inputs"):
        joined = [x.item() for part in parts for x in getattr(part, column)]
        assert joined == [x.item() for x in getattr(whole, column)]
    sizes = [len(part.sources) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("count", [1, 2, 4])
def test_parts_of_a_whole_batch_compute_no_rows_of_nothing(count: int) -> None:
    whole = rows([[1]] * 48, [[2]] * 48)
    parts = [collate(whole.part(number, count)) for number in range(count)]
    assert sum(len(part.src) for part in parts) == 48


def test_a_batch_of_no_pairs_only_fills_the_smallest_shape() -> None:
    batch = collate(rows([], []))
    assert batch.src.shape == (PART_MULTIPLE, LENGTH_MULTIPLE)
    assert batch.src[:, 0].tolist() == [EOS_ID] * PART_MULTIPLE
    assert (len(batch.tgt_out), len(batch.real)) == (0, 0)


def test_pieces_and_weights_of_rows_are_counted() -> None:
    pairs = rows([[7, 8, 9], [5]], [[6], [4, 10]])  # weights 0 and 1
    assert (pairs.source_tokens, pairs.target_tokens, pairs.target_weight) == (4, 5, 3.0)
