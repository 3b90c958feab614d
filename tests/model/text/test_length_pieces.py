"""Length pieces: from a number of words to a piece."""

import pytest

from model.errors import ConfigError
from model.text.length_pieces import bucket_of, length_ids, length_words
from model.text.profile import TextProfile
from model.text.tokenizer import Tokenizer
from training.data.learn_tokenizer import learn_tokenizer


def test_a_bucket_holds_what_is_up_to_its_boundary() -> None:
    boundaries = (4, 9, 9)  # nothing is in the third
    found = [bucket_of(boundaries, words) for words in (0, 4, 4.5, 5, 9, 10, 99)]
    assert found == [0, 0, 1, 1, 1, 3, 3]


def test_every_bucket_has_a_piece_of_its_own() -> None:
    lines = ["a few words, and 3 more", "and others"] * 9
    learned = Tokenizer(
        learn_tokenizer(lines, kind="bpe", vocab_size=300, tags=["<a>", *length_words(12)])
    )
    ids = length_ids(learned, 12)
    assert len(set(ids)) == 12
    assert [learned.decode([id]) for id in ids] == [f"<length_{n}>" for n in range(1, 13)]


def test_a_tokenizer_without_them_is_refused(tiny_tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match=r"length_buckets: <length_1> is no piece .* Leave"):
        length_ids(tiny_tokenizer, 2)


@pytest.mark.parametrize("boundaries", [(3, 2), tuple(range(100))])
def test_boundaries_of_a_damaged_checkpoint_are_refused(boundaries: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"length_buckets: \(.* must not descend"):
        TextProfile(length_buckets=boundaries)
