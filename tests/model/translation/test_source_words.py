"""What is a word of a source, in the pieces of a real tokenizer."""

import unicodedata

import pytest

from model.text.tokenizer import UNK_ID, Tokenizer
from model.translation.source_words import source_words


def texts_of(text: str, tokenizer: Tokenizer) -> list[str]:
    words = source_words(tokenizer.encode(text), tokenizer)
    return [tokenizer.decode(word) for word in words]


@pytest.mark.parametrize(
    "text",
    [
        "der Hund läuft auf der Straße.",
        "(der) Hund, läuft! -- Hund's \u201cHaus\u201d 3.5",
        "e\u0301 \u732b\U0001f408 a\u2581b",
        "",
    ],
)
def test_words_are_what_spaces_separate(tiny_tokenizer: Tokenizer, text: str) -> None:
    assert texts_of(text, tiny_tokenizer) == unicodedata.normalize("NFC", text).split()


def test_spaces_alone_are_no_words(tiny_tokenizer: Tokenizer) -> None:
    assert texts_of("der  Hund   ", tiny_tokenizer) == ["der", "Hund"]


def test_no_piece_that_begins_a_word_stands_within_one(tiny_tokenizer: Tokenizer) -> None:
    words = source_words(tiny_tokenizer.encode("der Hund. läuft.. \u2581 x. ."), tiny_tokenizer)
    assert not {word[0] for word in words} & {piece for word in words for piece in word[1:]}


def test_words_with_unknown_pieces_are_left_out(tiny_tokenizer: Tokenizer) -> None:
    der, hund = (tiny_tokenizer.encode(word) for word in ("der", "Hund"))
    words = source_words([*der, UNK_ID, *hund, *der], tiny_tokenizer)
    assert words == (tuple(hund), tuple(der))
    assert source_words([UNK_ID, *der], tiny_tokenizer) == (tuple(der),)
