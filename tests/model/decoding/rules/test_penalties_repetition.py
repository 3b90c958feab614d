"""Forbidden repetitions against a naive check."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from model.decoding.rules.penalties import forbid_repetition

VOCAB = 5


@given(st.data(), st.integers(1, 4))
def test_forbidden_is_what_completes_a_known_ngram(data: st.DataObject, n: int) -> None:
    """Sentences of different lengths together, with any pieces behind their ends."""
    lengths = data.draw(st.lists(st.integers(0, 8), min_size=1, max_size=3))
    rows = st.lists(st.integers(0, VOCAB - 1), min_size=max(lengths), max_size=max(lengths))
    sequence = [[data.draw(rows) for _ in range(2)] for _ in lengths]
    log_probs = torch.zeros(len(lengths), 2, VOCAB)
    forbid_repetition(
        log_probs,
        torch.tensor(sequence, dtype=torch.long).view(len(lengths), 2, -1),
        torch.tensor(lengths),
        n,
    )
    for i, length in enumerate(lengths):
        for k in range(2):
            pieces = sequence[i][k][:length]
            grams = [tuple(pieces[j : j + n]) for j in range(length - n + 1)]
            for piece in range(VOCAB):
                last = tuple([*pieces, piece][-n:])
                assert bool(log_probs[i, k, piece].isneginf()) == (last in grams)
