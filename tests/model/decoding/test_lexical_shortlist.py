"""The shortlist of a sentence: exactly the pieces that its definition names, whatever the order."""

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from model.decoding.lexical_shortlist import Shortlist, shortlist_from_bytes
from model.errors import CheckpointError
from model.text.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

VOCAB_SIZE = 40
BYTES = range(4, 8)


def make(seed: int = 0, byte_pieces: range = BYTES) -> Shortlist:
    rng = np.random.default_rng(seed)
    candidates = rng.integers(EOS_ID, VOCAB_SIZE, (VOCAB_SIZE, 3), dtype=np.int32)
    return Shortlist(
        candidates=candidates,
        frequent=np.array([EOS_ID, 11, 30], dtype=np.int32),
        byte_pieces=np.array(byte_pieces, dtype=np.int32),
    )


def defined(shortlist: Shortlist, src: list[int]) -> list[int]:
    """The definition, in sets."""
    allowed = {int(i) for s in src for i in shortlist.candidates[s]} | set(src)
    allowed |= set(shortlist.frequent.tolist())
    if set(src) & set(shortlist.byte_pieces.tolist()):
        allowed |= set(shortlist.byte_pieces.tolist())
    return sorted(allowed - {PAD_ID, UNK_ID, BOS_ID})


@given(st.lists(st.integers(UNK_ID, VOCAB_SIZE - 1)), st.integers(0, 9), st.booleans())
def test_a_sentence_may_become_what_the_definition_says(
    src: list[int], seed: int, has_bytes: bool
) -> None:
    shortlist = make(seed, BYTES if has_bytes else range(0))

    ids = shortlist.of(src)

    assert ids.dtype == np.int64
    assert ids.tolist() == defined(shortlist, src)
    assert EOS_ID in ids
    assert np.array_equal(shortlist.of(sorted(src, reverse=True)), ids)
    assert np.array_equal(shortlist.of(tuple(src)), ids)


def test_an_end_of_sentence_changes_nothing() -> None:
    """Learned candidates of EOS do not exist: a row without any holds EOS."""
    shortlist = make()
    shortlist.candidates[EOS_ID] = EOS_ID

    assert np.array_equal(shortlist.of([9, 21, EOS_ID]), shortlist.of([9, 21]))


def test_bytes_are_allowed_where_the_source_has_one() -> None:
    shortlist = make()
    shortlist.candidates[:] = EOS_ID

    assert shortlist.of([BYTES[1], 9]).tolist() == [EOS_ID, *BYTES, 9, 11, 30]
    assert shortlist.of([9]).tolist() == [EOS_ID, 9, 11, 30]


def test_bytes_read_back_equal() -> None:
    for shortlist in (make(), make(byte_pieces=range(0))):
        loaded = shortlist_from_bytes(shortlist.to_bytes(), vocab_size=VOCAB_SIZE)

        for name in ("candidates", "frequent", "byte_pieces"):
            expected = getattr(shortlist, name)
            assert getattr(loaded, name).dtype == expected.dtype
            assert np.array_equal(getattr(loaded, name), expected)


def content(**changes: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    return safetensors.numpy.save(safetensors.numpy.load(make().to_bytes()) | changes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"no tensors", "not safetensors"),
        (safetensors.numpy.save({"frequent": np.zeros(3, np.int32)}), "not a shortlist"),
        (content(frequent=np.array([3, 9])), "not a shortlist"),
        (content(frequent=np.full((2, 2), 9, np.int32)), "not a shortlist"),
        (content(frequent=np.array([3, VOCAB_SIZE], np.int32)), "ids outside"),
        (content(frequent=np.array([3, BOS_ID], np.int32)), "ids outside"),
        (content(candidates=np.full((39, 2), 9, np.int32)), "39 source pieces, .* has 40"),
    ],
)
def test_what_is_no_shortlist_of_the_vocabulary_is_refused(given: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        shortlist_from_bytes(given, vocab_size=VOCAB_SIZE)
