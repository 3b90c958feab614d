"""The kernels of the search against the same search written out plainly, with many equal scores."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.decoding.native.beams import keep, list_rows
from model.decoding.native.extensions import NOTHING, best_extensions, normaliser
from model.decoding.native.product import Floats
from model.text.tokenizer import EOS_ID

N, K = 3, 4


class Drawn:
    """Beams of N sentences in the middle of a search, by chance."""

    def __init__(self, seed: int, pieces: int) -> None:
        chance = np.random.default_rng(seed)
        self.pieces, self.width = pieces, -(-pieces // 64) * 64
        alive = chance.random((N, K)) < 0.7
        alive[:, 0] = True
        # Few different values, so that many candidates are equal.
        totals = -chance.integers(0, 4, (N, K)).astype(np.float32)
        self.log_prob: Floats = np.where(alive, totals, NOTHING).astype(np.float32)
        self.finished = (~alive).sum(axis=1).astype(np.int64)
        self.length = chance.integers(0, 4, N)
        self.limit, self.shortest = np.full(N, 3), chance.integers(0, 3, N)
        self.row = np.full((N, K), -1, np.int32)
        self.row[alive] = np.arange(alive.sum())
        count = int(alive.sum())
        self.logits = chance.integers(-3, 4, (count, self.width)).astype(np.float32)
        self.logits[:, pieces:] = 99.0  # columns that fill up: never looked at

    def extensions(
        self, end: int
    ) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Log-probability, parent and column of the kernel's choice, and what was forced."""
        values, forced = np.zeros((N, K), np.float32), np.zeros((N, K), np.bool_)
        parent, column = np.zeros((N, K), np.int64), np.zeros((N, K), np.int64)
        best_extensions(
            0,
            N,
            self.logits.copy(),
            0,
            np.full(N, self.pieces, np.int32),
            end,
            self.row,
            self.log_prob,
            self.length,
            self.limit,
            self.shortest,
            self.finished,
            np.zeros(N, np.bool_),
            np.zeros(self.width, np.float32),
            forced,
            values,
            parent,
            column,
        )
        return values, parent, column, forced

    def by_hand(self, n: int, end: int) -> list[tuple[np.float32, int, int]]:
        """The candidates of a sentence that its beam has places for, the best first."""
        found = []
        for k in range(K):
            if self.row[n, k] < 0:
                continue
            own = self.logits[self.row[n, k], : self.pieces].copy()
            norm = np.float32(normaliser(own[None], 0, self.pieces, np.zeros(99, np.float32)))
            for j in range(end, self.pieces):
                if self.length[n] == self.limit[n] and j != end:
                    continue
                if self.length[n] < min(self.shortest[n], self.limit[n]) and j == end:
                    continue
                found.append((own[j] + (self.log_prob[n, k] - norm), k, j))
        found.sort(key=lambda entry: (-entry[0], *entry[1:]))
        return found[: K - int(self.finished[n])]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    pieces=st.sampled_from([6, 63, 128, 300]),
    end=st.sampled_from([0, EOS_ID]),
)
def test_the_best_extensions_are_those_of_a_full_sort(seed: int, pieces: int, end: int) -> None:
    drawn = Drawn(seed, pieces)
    values, parent, column, _ = drawn.extensions(end)
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
    drawn.length[:] = drawn.limit
    drawn.logits[:, EOS_ID] = 5.0
    drawn.logits[drawn.row[1, 0], 17] = 6.0
    forced = drawn.extensions(EOS_ID)[3]
    assert np.argwhere(forced).tolist() == [[1, 0]]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_keeping_is_bookkeeping(seed: int) -> None:
    """Against the rules of `model.decoding.beam_search`, one by one."""
    chance = np.random.default_rng(seed)
    drawn, steps = Drawn(seed, 128), 5
    values, parent, piece, _ = drawn.extensions(EOS_ID)
    piece[chance.random((N, K)) < 0.3] = EOS_ID
    token = chance.integers(4, 99, (N, K))
    log_prob, length = drawn.log_prob.copy(), drawn.length.copy()
    finished, best = drawn.finished.copy(), -np.sort(chance.random((N, K))).astype(np.float32)
    best[:, 2:] = NOTHING
    n_best = chance.integers(1, K + 1, N)
    penalty = 1 + np.sort(chance.random((N, steps))).astype(np.float32)
    longest, extra = penalty[:, -1].copy(), chance.random((N, K)).astype(np.float32)
    more, source = chance.random(N).astype(np.float32), np.zeros((N, K), np.int32)
    shape = (N, steps, K)
    told = (np.zeros(shape, np.int64), np.zeros(shape, np.int64))
    told_scores = (np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    over, before = np.zeros(N, np.bool_), best.copy()
    keep(
        N,
        values,
        parent,
        piece,
        extra,
        more,
        drawn.row,
        token,
        log_prob,
        length,
        finished,
        best,
        n_best,
        penalty,
        longest,
        source,
        *told,
        *told_scores,
        over,
    )
    assert (length == drawn.length + 1).all()
    for n in range(N):
        t, scores = drawn.length[n], []
        for k in range(K):
            ended = piece[n, k] == EOS_ID and values[n, k] > NOTHING
            score = values[n, k] / penalty[n, t] + extra[n, k] if ended else NOTHING
            scores.append(score)
            assert log_prob[n, k] == (NOTHING if ended else values[n, k])
            assert source[n, k] == drawn.row[n, parent[n, k]]
        assert finished[n] == drawn.finished[n] + np.isfinite(scores).sum()
        ranked = sorted([*before[n], *scores], reverse=True)[:K]
        assert best[n].tolist() == ranked
        assert [held[n, t].tolist() for held in (*told, *told_scores)] == [
            piece[n].tolist(),
            parent[n].tolist(),
            values[n].tolist(),
            scores,
        ]
        top = log_prob[n].max()
        assert over[n] == (top == NOTHING or top / longest[n] + more[n] < ranked[n_best[n] - 1])


def test_rows_are_those_of_the_alive() -> None:
    log_prob = np.array([[0, NOTHING], [NOTHING, -1], [-2, -3]], np.float32)
    token, source = (
        np.array([[7, 8], [9, 10], [11, 12]]),
        np.arange(6, dtype=np.int32).reshape(3, 2),
    )
    row = np.zeros((3, 2), np.int32)
    piece, origin, sentence, place = np.zeros((4, 6), np.int32)
    count = list_rows(
        3, token, log_prob, np.array([0, 1, 4]), source, 5, row, piece, origin, sentence, place
    )
    assert count == 4
    assert row.tolist() == [[0, -1], [-1, 1], [2, 3]]
    assert piece[:4].tolist() == [7, 10, 11, 12]
    assert origin[:4].tolist() == [0, 3, 4, 5]
    assert sentence[:4].tolist() == [0, 1, 2, 2]
    assert place[:4].tolist() == [0, (5 + 1) * 2 + 1, (10 + 4) * 2, (10 + 4) * 2 + 1]
