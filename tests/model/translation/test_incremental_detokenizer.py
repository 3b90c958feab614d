"""Detokenizing while pieces arrive: every prefix begins the final text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.text.segmentation import Plan
from model.text.tokenizer import EOS_ID, Tokenizer
from model.translation.incremental_detokenizer import IncrementalDetokenizer, whole_words


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", ""),
        ("Hu", ""),
        ("der Hu", "der"),
        ("der Hund ", "der Hund"),
        ("der  Hund", "der "),
        (" der", ""),
        ("kostet 3.", "kostet"),
        ("猫は好", "猫は好"),
        ("猫はA", "猫は"),
        ("der 猫\ufffd\ufffd", "der 猫"),
        ("der \ufffd", "der"),
    ],
)
def test_the_last_word_is_held_back_unless_it_is_wide(text: str, whole: str) -> None:
    assert whole_words(text) == whole


@settings(max_examples=300)
@given(data=st.data())
def test_any_pieces_grow_into_their_text(tiny_tokenizer: Tokenizer, data: st.DataObject) -> None:
    """Pieces of bytes that are no characters are among them."""
    pieces = st.integers(EOS_ID + 1, tiny_tokenizer.vocab_size - 1)
    letters = st.sampled_from([i for c in "日 ä👍" for i in tiny_tokenizer.encode(c)])
    found = tuple(data.draw(st.lists(pieces | letters, max_size=30)))
    detokenizer = IncrementalDetokenizer(Plan(("  ", (4,), "\n")), tiny_tokenizer)
    final = "  " + tiny_tokenizer.decode(found) + "\n"
    last = ""
    for length in sorted(data.draw(st.sets(st.integers(0, len(found))))):
        text = detokenizer.update(0, found[:length], done=False)
        if text is not None:
            assert final.startswith(text)
            assert text.startswith(last)
            assert len(text) > len(last)
            last = text
    assert (detokenizer.update(0, found, done=True) or last) == final[:-1]


def test_what_is_told_of_a_long_text_does_not_add_up(tiny_tokenizer: Tokenizer) -> None:
    """Also where its sentences come one after the other, and each of them piece by piece."""
    source = tuple(tiny_tokenizer.encode("der Mann sieht die Frau auf der Straße."))
    detokenizer = IncrementalDetokenizer(Plan((source, " ") * 300), tiny_tokenizer)
    prefixes = [
        text
        for number in range(300)
        for end in range(1, len(source) + 1)
        if (text := detokenizer.update(number, source[:end], done=end == len(source)))
    ]
    final = " ".join([tiny_tokenizer.decode(source)] * 300)
    assert prefixes == sorted(set(prefixes), key=len)
    assert all(final.startswith(text) for text in prefixes)
    assert prefixes[:3] == ["der", "der Mann", "der Mann sieht"]
    assert len(prefixes[-1]) > 0.9 * len(final)
    assert sum(map(len, prefixes)) < 40 * len(final)
