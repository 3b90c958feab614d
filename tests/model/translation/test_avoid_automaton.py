"""The automaton that finds phrases in pieces, against finding them in the decoded text."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.decoding.automaton import Automaton
from model.text.tokenizer import EOS_ID, Tokenizer
from model.text.words import joins, occurs
from model.translation.avoid_automaton import PieceTexts

PHRASES = ["Hund", "die Frau", ".", "10", "an", "der Hund läuft", "rot"]


@pytest.fixture(scope="module")
def spelling(tiny_tokenizer: Tokenizer) -> PieceTexts:
    return PieceTexts(tiny_tokenizer)


@pytest.fixture(scope="module")
def ascii_pieces(tiny_tokenizer: Tokenizer) -> list[int]:
    """Every piece whose text stands for itself, whatever stands beside it."""
    return [
        id
        for id in range(EOS_ID + 1, tiny_tokenizer.vocab_size)
        if "\ufffd" not in tiny_tokenizer.decode([id])
    ]


def forbidden_at(automaton: Automaton, pieces: list[int]) -> int | None:
    """The place of the first piece that is forbidden; None if all are allowed."""
    state = 0
    for place, piece in enumerate(pieces):
        state = int(automaton.following[state, piece])
        if state < 0:
            return place
    return None


@given(st.data())
def test_the_first_forbidden_piece_is_the_first_that_completes_a_phrase(
    tiny_tokenizer: Tokenizer, spelling: PieceTexts, ascii_pieces: list[int], data: st.DataObject
) -> None:
    """In any pieces at all, spelt as no tokenizer would, letter by letter or byte by byte."""
    phrases = data.draw(st.lists(st.sampled_from(PHRASES), min_size=1, max_size=3, unique=True))
    words = [tiny_tokenizer.encode(phrase) for phrase in phrases]
    letters = [tiny_tokenizer.byte_ids(c) for c in "".join(phrases) if c.isascii()]
    ids = st.one_of(
        st.sampled_from(ascii_pieces).map(lambda id: [id]),
        st.sampled_from(words),
        st.sampled_from(letters),
    )
    pieces = [id for part in data.draw(st.lists(ids, max_size=8)) for id in part]
    expected = None
    for place in range(len(pieces)):
        text = tiny_tokenizer.decode(pieces[: place + 1])
        if any(occurs(phrase, text) for phrase in phrases):
            expected = place
            break
    assert forbidden_at(spelling.automaton(phrases), pieces) == expected


def test_a_longer_word_is_allowed_in_one_piece(
    tiny_tokenizer: Tokenizer, spelling: PieceTexts
) -> None:
    long = [p for p in tiny_tokenizer.subwords() if len(p) >= 4 and p[0] == "\u2581"]
    assert len(long) >= 3
    for piece in long:
        word = piece[1:]
        pieces = [tiny_tokenizer.subwords()[piece][0]]
        assert forbidden_at(spelling.automaton([word[:-1]]), pieces) is None
        assert forbidden_at(spelling.automaton([word]), pieces) == 0


def test_pieces_that_continue_a_word(tiny_tokenizer: Tokenizer, spelling: PieceTexts) -> None:
    for id in range(tiny_tokenizer.vocab_size):
        piece = tiny_tokenizer.piece(id)
        continues = bool(spelling.continues[id])
        if id <= EOS_ID or piece.startswith("\u2581"):
            assert not continues
        elif id in tiny_tokenizer.byte_pieces():
            byte = int(piece[3:5], 16)
            assert continues == (byte >= 0x80 or joins(chr(byte)))
        else:
            assert continues == joins(piece[0])


def test_many_phrases_at_once(tiny_tokenizer: Tokenizer, spelling: PieceTexts) -> None:
    chance = random.Random(4)
    words = ["der", "die", "das", "Haus", "Hund", "Mann", "Frau", "läuft", "schläft"]
    phrases = [" ".join(chance.sample(words, 2)) for _ in range(30)]
    automaton = spelling.automaton(phrases)
    for _ in range(100):
        text = " ".join(chance.choices(words, k=6))
        found = any(occurs(phrase, text) for phrase in phrases)
        assert (forbidden_at(automaton, tiny_tokenizer.encode(text)) is not None) == found
