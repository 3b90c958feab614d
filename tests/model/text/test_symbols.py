"""Symbols: ids after the control ids, one space of ids for both sides."""

import pickle
from dataclasses import replace

import pytest

from model.errors import ConfigError, RequestError
from model.text.alphabet import Alphabet, Cut
from model.text.symbols import Symbols
from model.text.tokenizer import EOS_ID, UNK_ID

SYMBOLS = Symbols(
    Alphabet(
        source=Cut(unit="characters", ignore_spaces=True),
        target=Cut(unit="spaced"),
        symbols=("A0", "B", "a", "b"),
    )
)


def test_ids_follow_the_control_ids_and_come_back() -> None:
    assert SYMBOLS.vocab_size == 8
    assert SYMBOLS.source.encode("a b") == [6, 7]
    assert SYMBOLS.target.encode_lines(["B A0", ""]) == [[5, 4], []]
    assert SYMBOLS.source.decode([6, 7]) == "ab"
    assert SYMBOLS.target.decode([5, EOS_ID, 4]) == "B A0"
    assert [SYMBOLS.piece(id) for id in (3, 4)] == ["</s>", "A0"]


def test_a_control_name_is_no_symbol() -> None:
    assert SYMBOLS.target.encode("<pad> A0 </s>") == [UNK_ID, 4, UNK_ID]


def test_an_unknown_symbol_is_named_with_its_place() -> None:
    with pytest.raises(RequestError, match=r"^symbol 3: 'x' is not among the 4"):
        SYMBOLS.source.encode_known("a bxb")
    with pytest.raises(RequestError) as caught:
        SYMBOLS.source.encode_known("a{}b")
    assert "symbol 2: '{'" in str(caught.value)


def test_another_process_gets_the_same() -> None:
    copy = pickle.loads(pickle.dumps(SYMBOLS.loader()))()
    assert copy.model == SYMBOLS.model
    assert copy.source.encode("ab") == SYMBOLS.source.encode("ab")


def test_what_only_targets_have_is_not_read() -> None:
    """A phone may be written like a capital; `read` says which symbols sources have."""
    symbols = Symbols(
        Alphabet(
            source=Cut(unit="characters"),
            target=Cut(unit="spaced"),
            symbols=("B", "a", "b", "{"),
            read=("a", "b", "{"),
        )
    )
    assert symbols.source.encode("abB") == [5, 6, UNK_ID]
    assert symbols.target.encode("B") == [4]
    with pytest.raises(RequestError) as caught:
        symbols.source.encode_known("aB")
    assert str(caught.value) == (
        "symbol 2: 'B' is not among the 3 that this model reads. Write it with a b {."
    )
    with pytest.raises(ConfigError, match="read: 'c' is none of the symbols"):
        replace(symbols.alphabet, read=("a", "c"))


def test_capitals_are_small_letters_if_case_is_ignored() -> None:
    cut = Cut(unit="characters", ignore_case=True)
    assert cut.cut("PÄR") == ["p", "ä", "r"]
    assert Cut(unit="characters").cut("Ä") == ["Ä"]
