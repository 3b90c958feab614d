"""The tokenizer: exact round trips, odd ids, what its pieces stand for."""

import io
import unicodedata
from typing import Literal

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from model.errors import CheckpointError
from model.text.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizer
from training.data.learn_tokenizer import learn_tokenizer

ODD_LINES = [
    "",
    " ",
    "   ",
    "  two before, two  between, two after  ",
    "\ttab\t",
    "nul\0nul",
    "next\x85line, line\u2028separator, vertical\vtab, form\ffeed",
    "carriage\rreturn\r",
    "smile \U0001f600, family \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "<s> </s> <unk> <pad> <0x41>",
    "\u2047 and \u2585 and \ufffd",
    "\u2581",
    "\u2581 \u2581\u2581 x\u2581y \u2581",
    "decomposed: a\u0308 e\u0301 \u1100\u1161",
    "no\u00a0break, ideographic\u3000space, \ufeffmark",
    "漢字 кириллица العربية",
]
SENTENCES = ["the small dog runs under the house.", "der Mann sieht die Frau auf der Straße!"] * 3

any_line = st.text(st.characters(exclude_categories=["Cs"]))
marked_line = st.text(st.sampled_from("\u2581\u2585 \tae\u0301\0<>s"), max_size=20)


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    kind: Literal["bpe", "unigram"] = request.param
    return Tokenizer(learn_tokenizer([*SENTENCES * 20, *ODD_LINES], kind=kind, vocab_size=345))


def foreign_model(lines: list[str]) -> bytes:
    """A model with SentencePiece's own defaults, apart from its size."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=written,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return written.getvalue()


def test_every_piece_has_its_id(tokenizer: Tokenizer) -> None:
    """Bytes and control pieces, too."""
    every = range(tokenizer.vocab_size)
    assert tokenizer.ids(map(tokenizer.piece, every)) == list(every)
    assert tokenizer.ids(["</s>", "<pad>"]) == [EOS_ID, PAD_ID]


@pytest.mark.parametrize("line", ODD_LINES)
def test_odd_lines_come_back(tokenizer: Tokenizer, line: str) -> None:
    ids = tokenizer.encode(line)
    assert tokenizer.decode(ids) == unicodedata.normalize("NFC", line)
    assert all(EOS_ID < i < tokenizer.vocab_size for i in ids)


@given(any_line | marked_line)
def test_every_line_comes_back(tokenizer: Tokenizer, line: str) -> None:
    ids = tokenizer.encode(line)
    assert tokenizer.decode(ids) == unicodedata.normalize("NFC", line)
    assert UNK_ID not in ids


@given(st.lists(st.integers(0, 344)))
def test_every_sequence_of_ids_has_a_text(tokenizer: Tokenizer, ids: list[int]) -> None:
    text = tokenizer.decode(ids)
    text.encode()  # no lone surrogates
    assert tokenizer.decode([BOS_ID, *ids, EOS_ID, PAD_ID, PAD_ID]) == text


@given(lines=st.lists(st.text() | st.sampled_from(["", "a\u2581b", "\u2581", "e\u0301"])))
def test_many_lines_are_encoded_like_each_alone(tokenizer: Tokenizer, lines: list[str]) -> None:
    assert tokenizer.encode_lines(lines) == [tokenizer.encode(line) for line in lines]


def test_text_that_begins_without_a_space_loses_nothing(tiny_tokenizer: Tokenizer) -> None:
    marked = tiny_tokenizer.encode("xxthe house")
    first = len(tiny_tokenizer.encode("xx"))
    assert tiny_tokenizer.piece(marked[first])[0] == "t"
    assert tiny_tokenizer.decode(marked[first:]) == "the house"


def test_control_pieces_have_names(tiny_tokenizer: Tokenizer) -> None:
    assert [tiny_tokenizer.piece(i) for i in (PAD_ID, UNK_ID, BOS_ID, EOS_ID)] == [
        "<pad>",
        "<unk>",
        "<s>",
        "</s>",
    ]


def test_the_model_bytes_make_an_equal_tokenizer(tiny_tokenizer: Tokenizer) -> None:
    again = Tokenizer(tiny_tokenizer.model)
    assert again.vocab_size == tiny_tokenizer.vocab_size == 320
    assert [again.encode(line) for line in SENTENCES] == [
        tiny_tokenizer.encode(line) for line in SENTENCES
    ]


@pytest.mark.parametrize("damaged", [b"", b"garbage", b"\0" * 50])
def test_bytes_that_are_no_model_are_refused(damaged: bytes) -> None:
    with pytest.raises(CheckpointError, match="is not a SentencePiece model"):
        Tokenizer(damaged)


def test_a_foreign_model_works_under_our_ids() -> None:
    # Its ids are <unk> 0, <s> 1, </s> 2 and no padding; it adds a space and knows no bytes.
    model = foreign_model(SENTENCES)
    foreign = Tokenizer(model)
    reference = sentencepiece.SentencePieceProcessor(model_proto=model)
    assert foreign.vocab_size == reference.get_piece_size() + 1
    ids = foreign.encode(SENTENCES[1])
    assert min(ids) > EOS_ID and max(ids) < foreign.vocab_size
    assert [foreign.piece(i) for i in ids] == reference.encode(SENTENCES[1], out_type=str)
    assert foreign.decode([BOS_ID, *ids, EOS_ID]) == SENTENCES[1]
    assert foreign.decode(foreign.encode("漢")) == " \u2047 "  # what it does not know shows
    assert foreign.decode(foreign.encode("the \u2581 dog")) == "the dog"
    assert foreign.byte_pieces() == []


def test_subwords_are_the_pieces_that_stand_for_their_own_text(tokenizer: Tokenizer) -> None:
    subwords = tokenizer.subwords()
    assert len(subwords) == tokenizer.vocab_size - 4 - 256
    assert "<0x41>" not in subwords and "</s>" not in subwords
    assert all(tokenizer.piece(number) == piece for piece, (number, _) in subwords.items())
    reference = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    number, score = subwords["\u2581"]
    assert score == reference.get_score(number) < 0


def test_byte_pieces_spell_a_character(tokenizer: Tokenizer) -> None:
    assert [tokenizer.piece(i) for i in tokenizer.byte_ids("\u00e9")] == ["<0xC3>", "<0xA9>"]
    assert tokenizer.mark_ids == tokenizer.byte_ids("\u2581")
    names = [tokenizer.piece(i) for i in tokenizer.byte_pieces()]
    assert names == [f"<0x{byte:02X}>" for byte in range(256)]
