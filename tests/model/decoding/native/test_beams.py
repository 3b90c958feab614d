"""The kernels of the search against the same search written out plainly, with many equal scores."""

import copy

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding.native.beams import keep, list_rows
from model.decoding.native.extensions import NOTHING, best_extensions, normaliser
from model.decoding.native.search_arrays import (
    BeamArrays,
    BestArrays,
    CandidateArrays,
    Flags,
    HistoryArrays,
    LimitArrays,
    RowArrays,
    RuleScores,
    ScanArrays,
)
from model.decoding.native.step_rows import StepRows
from model.text.tokenizer import EOS_ID

N, K, STEPS = 3, 4, 5


class Drawn:
    """Beams of N sentences in the middle of a search, by chance."""

    def __init__(self, seed: int, pieces: int) -> None:
        chance = np.random.default_rng(seed)
        self.pieces, self.width = pieces, -(-pieces // 64) * 64
        alive = chance.random((N, K)) < 0.7
        alive[:, 0] = True
        # Few different values, so that many candidates are equal.
        totals = -chance.integers(0, 4, (N, K)).astype(np.float32)
        penalty = 1 + np.sort(chance.random((N, STEPS))).astype(np.float32)
        best = -np.sort(chance.random((N, K))).astype(np.float32)
        best[:, 2:] = NOTHING
        self.beam = BeamArrays(
            token=chance.integers(4, 99, (N, K)),
            log_prob=np.where(alive, totals, NOTHING).astype(np.float32),
            length=chance.integers(0, 4, N),
            finished=(~alive).sum(axis=1).astype(np.int64),
        )
        self.limits = LimitArrays(
            limit=np.full(N, 3),
            shortest=chance.integers(0, 3, N),
            forced=np.zeros((N, K), np.bool_),
        )
        self.best = BestArrays(
            best=best,
            n_best=chance.integers(1, K + 1, N),
            penalty=penalty,
            longest=penalty[:, -1].copy(),
        )
        self.row = np.full((N, K), -1, np.int32)
        self.row[alive] = np.arange(alive.sum())
        count = int(alive.sum())
        self.logits = chance.integers(-3, 4, (count, self.width)).astype(np.float32)
        self.logits[:, pieces:] = 99.0  # columns that fill up: never looked at

    def extensions(self, end: int, skip: Flags | None = None) -> CandidateArrays:
        """The kernel's choice."""
        found = CandidateArrays(
            np.zeros((N, K), np.float32), np.zeros((N, K), np.int64), np.zeros((N, K), np.int64)
        )
        scan = ScanArrays(
            columns=np.full(N, self.pieces, np.int32),
            skip=np.zeros(N, np.bool_) if skip is None else skip,
            maxima=np.zeros(self.width, np.float32),
        )
        logits = self.logits.copy()
        best_extensions(0, N, logits, 0, end, self.row, scan, self.beam, self.limits, found)
        return found

    def by_hand(self, n: int, end: int) -> list[tuple[np.float32, int, int]]:
        """The candidates of a sentence that its beam has places for, the best first."""
        found = []
        for k in range(K):
            if self.row[n, k] < 0:
                continue
            own = self.logits[self.row[n, k], : self.pieces].copy()
            norm = np.float32(normaliser(own[None], 0, self.pieces, np.zeros(99, np.float32)))
            for j in range(end, self.pieces):
                if self.beam.length[n] == self.limits.limit[n] and j != end:
                    continue
                if (
                    self.beam.length[n] < min(self.limits.shortest[n], self.limits.limit[n])
                    and j == end
                ):
                    continue
                found.append((own[j] + (self.beam.log_prob[n, k] - norm), k, j))
        found.sort(key=lambda entry: (-entry[0], *entry[1:]))
        return found[: K - int(self.beam.finished[n])]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    pieces=st.sampled_from([6, 63, 128, 300]),
    end=st.sampled_from([0, EOS_ID]),
)
def test_the_best_extensions_are_those_of_a_full_sort(seed: int, pieces: int, end: int) -> None:
    drawn = Drawn(seed, pieces)
    values, parent, column = drawn.extensions(end)
    for n in range(N):
        expected = drawn.by_hand(n, end)
        ours = list(zip(values[n], parent[n], column[n], strict=True))
        assert ours[: len(expected)] == expected
        assert (values[n, len(expected) :] == NOTHING).all()


def test_the_normaliser_is_the_logarithm_of_the_sum() -> None:
    x = np.random.default_rng(0).normal(0, 5, (2, 8000)).astype(np.float32)
    for row in range(2):
        exact = np.log(np.exp(x[row].astype(np.float64)).sum())
        assert abs(normaliser(x, row, 8000, np.zeros(99, np.float32)) - exact) < 1e-5


def test_what_was_forced_at_the_limit() -> None:
    """EOS is forced on a hypothesis that has a better piece, not on one that would end anyway."""
    drawn = Drawn(0, 128)
    drawn.beam.length[:] = drawn.limits.limit
    drawn.logits[:, EOS_ID] = 5.0
    drawn.logits[drawn.row[1, 0], 17] = 6.0
    drawn.extensions(EOS_ID)
    assert np.argwhere(drawn.limits.forced).tolist() == [[1, 0]]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_keeping_is_bookkeeping(seed: int) -> None:
    """Against the rules of `model.decoding.beam_search`, one by one."""
    chance = np.random.default_rng(seed)
    drawn = Drawn(seed, 128)
    chosen = drawn.extensions(EOS_ID)
    chosen.piece[chance.random((N, K)) < 0.3] = EOS_ID
    before, beam = copy.deepcopy(drawn.beam), drawn.beam
    best_before, best = copy.deepcopy(drawn.best), drawn.best
    rules = RuleScores(
        extra=chance.random((N, K)).astype(np.float32), most=chance.random(N).astype(np.float32)
    )
    rows, over = RowArrays(drawn.row, np.zeros((N, K), np.int32)), np.zeros(N, np.bool_)
    shape = (N, STEPS, K)
    history = HistoryArrays(
        piece=np.zeros(shape, np.int64),
        parent=np.zeros(shape, np.int64),
        log_prob=np.zeros(shape, np.float32),
        score=np.zeros(shape, np.float32),
    )
    keep(N, chosen, rules, rows, beam, best, history, over)
    values, parent, piece = chosen
    assert (beam.length == before.length + 1).all()
    for n in range(N):
        t, scores = before.length[n], []
        for k in range(K):
            ended = piece[n, k] == EOS_ID and values[n, k] > NOTHING
            score = values[n, k] / best.penalty[n, t] + rules.extra[n, k] if ended else NOTHING
            scores.append(score)
            assert beam.token[n, k] == piece[n, k]
            assert beam.log_prob[n, k] == (NOTHING if ended else values[n, k])
            assert rows.source[n, k] == drawn.row[n, parent[n, k]]
        assert beam.finished[n] == before.finished[n] + np.isfinite(scores).sum()
        ranked = sorted([*best_before.best[n], *scores], reverse=True)[:K]
        assert best.best[n].tolist() == ranked
        assert [held[n, t].tolist() for held in history] == [
            piece[n].tolist(),
            parent[n].tolist(),
            values[n].tolist(),
            scores,
        ]
        top, last = beam.log_prob[n].max(), ranked[best.n_best[n] - 1]
        assert over[n] == (top == NOTHING or top / best.longest[n] + rules.most[n] < last)


def test_sentences_that_are_skipped_are_left_alone() -> None:
    found = Drawn(0, 128).extensions(EOS_ID, np.array([False, True, False]))
    assert (found.log_prob[1] == 0).all()
    assert (found.log_prob[[0, 2], 0] < 0).all()


def test_rows_are_those_of_the_alive() -> None:
    beam = Drawn(0, 128).beam._replace(
        token=np.array([[7, 8], [9, 10], [11, 12]]),
        log_prob=np.array([[0, NOTHING], [NOTHING, -1], [-2, -3]], np.float32),
        length=np.array([0, 1, 4]),
    )
    rows = RowArrays(np.zeros((3, 2), np.int32), np.arange(6, dtype=np.int32).reshape(3, 2))
    step = StepRows(*np.zeros((4, 6), np.int32))
    count = list_rows(3, 5, beam, rows, step)
    assert count == 4
    assert rows.row.tolist() == [[0, -1], [-1, 1], [2, 3]]
    assert step.piece[:4].tolist() == [7, 10, 11, 12]
    assert step.origin[:4].tolist() == [0, 3, 4, 5]
    assert step.sentence[:4].tolist() == [0, 1, 2, 2]
    assert step.place[:4].tolist() == [0, (5 + 1) * 2 + 1, (10 + 4) * 2, (10 + 4) * 2 + 1]
