"""Learning a tokenizer: its contract with the text, and sizes that do not suit it."""

import io
import random
import re
from typing import Literal

import pytest
import sentencepiece

from model.errors import ConfigError, DataError
from model.text.tokenizer import EOS_ID, SPACE_MARK, Tokenizer
from training.data.learn_tokenizer import check_round_trip, learn_tokenizer

LINES = ["The cats sleep in the warm houses.", "Die Katzen schlafen in den warmen Häusern."] * 20

both_kinds = pytest.mark.parametrize("kind", ["bpe", "unigram"])
Kind = Literal["bpe", "unigram"]


def pieces(tokenizer: Tokenizer) -> list[str]:
    return [tokenizer.piece(i) for i in range(tokenizer.vocab_size)]


@both_kinds
def test_equal_lines_give_equal_bytes_of_the_size_asked_for(kind: Kind) -> None:
    model = learn_tokenizer(iter(LINES), kind=kind, vocab_size=285)
    assert Tokenizer(model).vocab_size == 285
    assert learn_tokenizer(LINES, kind=kind, vocab_size=285) == model


def test_the_ids_of_the_model_itself_are_ours() -> None:
    model = learn_tokenizer(LINES, kind="bpe", vocab_size=285)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    control = (processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id())
    assert control == (0, 1, 2, 3)


@both_kinds
def test_the_largest_size_that_works_is_named(kind: Kind) -> None:
    with pytest.raises(ConfigError, match="vocab_size: 5000 is too large") as raised:
        learn_tokenizer(LINES, kind=kind, vocab_size=5000)
    found = re.search(r"at most (\d+)", str(raised.value))
    assert found is not None
    largest = int(found[1])
    assert Tokenizer(learn_tokenizer(LINES, kind=kind, vocab_size=largest)).vocab_size == largest
    with pytest.raises(ConfigError):
        learn_tokenizer(LINES, kind=kind, vocab_size=largest + 1)
    auto = learn_tokenizer(LINES, kind=kind, vocab_size="auto")
    assert auto == learn_tokenizer(LINES, kind=kind, vocab_size=largest)


@both_kinds
def test_the_smallest_size_that_works_is_named(kind: Kind) -> None:
    characters = len(set("".join(LINES)))
    needed = characters + 256 + 4
    with pytest.raises(ConfigError, match=f"100 is too small .* need {needed}"):
        learn_tokenizer(LINES, kind=kind, vocab_size=100)
    assert Tokenizer(learn_tokenizer(LINES, kind=kind, vocab_size=needed)).vocab_size == needed


def test_the_space_mark_is_kept_when_spaces_are_rare() -> None:
    rng = random.Random(5)
    lines = ["".join(rng.choices("abcdefgh", k=40_000))]
    tokenizer = Tokenizer(learn_tokenizer(lines, kind="bpe", vocab_size=300))
    assert SPACE_MARK in pieces(tokenizer)
    assert tokenizer.decode(tokenizer.encode("a b  c")) == "a b  c"


@both_kinds
def test_digits_stand_alone(kind: Kind) -> None:
    lines = [*LINES, *["Es war 2024 und 2024 und 1999."] * 50]
    tokenizer = Tokenizer(learn_tokenizer(lines, kind=kind, vocab_size=294))
    year = [tokenizer.piece(i) for i in tokenizer.encode("x 2024")][-4:]
    assert year == ["2", "0", "2", "4"]


def test_decomposed_letters_are_learned_composed() -> None:
    decomposed = [line.replace("ä", "a\u0308") for line in LINES]
    model = learn_tokenizer(decomposed, kind="bpe", vocab_size=285)
    assert model == learn_tokenizer(LINES, kind="bpe", vocab_size=285)


def test_text_around_reserved_characters_is_learned() -> None:
    lines = [f"{SPACE_MARK}Straße\u2585Straße{SPACE_MARK}"] * 30
    tokenizer = Tokenizer(learn_tokenizer(lines, kind="bpe", vocab_size=277))
    assert "Straße" in pieces(tokenizer)


def test_lines_of_any_length_are_learned() -> None:
    long = " ".join(["Wetterbericht"] * 20_000)
    tokenizer = Tokenizer(learn_tokenizer([long], kind="bpe", vocab_size=282))
    assert tokenizer.encode("Wetterbericht") == tokenizer.encode("Wetterbericht ")[:-1]
    assert len(tokenizer.encode("Wetterbericht")) == 1


def test_a_rare_character_is_left_to_the_bytes() -> None:
    tokenizer = Tokenizer(learn_tokenizer([*LINES * 10, "漢"], kind="bpe", vocab_size=285))
    assert "漢" not in pieces(tokenizer)
    assert min(tokenizer.encode("漢")) > EOS_ID


@pytest.mark.parametrize("lines", [[], ["", ""]])
def test_no_text_is_an_error(lines: list[str]) -> None:
    with pytest.raises(DataError, match=f"no text to learn a tokenizer from .{len(lines)} lines"):
        learn_tokenizer(lines, kind="bpe", vocab_size=300)


def test_learning_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    learn_tokenizer([*LINES, "x" * 100_000, "\0\t"], kind="unigram", vocab_size=286)
    assert capfd.readouterr() == ("", "")


def test_a_tokenizer_that_changes_lines_is_found_out() -> None:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_writer=written,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    tokenizer = Tokenizer(written.getvalue())
    with pytest.raises(
        DataError, match=r"line 3 .* comes back changed: 'The  cats' becomes 'The c"
    ):
        check_round_trip(tokenizer, ["The cats", "", "The  cats", "The  cats"])
