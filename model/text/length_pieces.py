"""Length pieces: one before a source tells the model about how many words to write.

Each stands for a bucket of lengths, whose boundaries are counted in training, so that about as many
targets fall into each (Fan et al. 2018, "Controllable abstractive summarization"). For a source
without such a piece the model chooses by itself.
"""

from bisect import bisect_left
from collections.abc import Sequence

from model.errors import ConfigError
from model.text.tokenizer import SPACE_MARK, Tokenizer

MAX_BUCKETS = 100


def length_words(count: int) -> list[str]:
    """The words that become the pieces of `count` buckets, the shortest lengths first."""
    return [f"<length_{number}>" for number in range(1, count + 1)]


def length_ids(tokenizer: Tokenizer, count: int) -> list[int]:
    """The ids of the pieces of `count` buckets.

    Raises:
        ConfigError: the tokenizer lacks one.
    """
    ids = []
    for word in length_words(count):
        *_, id = tokenizer.encode(word)
        if tokenizer.piece(id).removeprefix(SPACE_MARK) != word:
            raise ConfigError(
                f"length_buckets: {word} is no piece of the tokenizer. Leave tokenizer.model out, "
                f"to have one learned with it, or name a model that has {count} such pieces."
            )
        ids.append(id)
    return ids


def bucket_of(boundaries: Sequence[int], words: float) -> int:
    """The number of the bucket, from 0, of outputs of `words` words.

    `boundaries` are the most words of each bucket but the last.
    """
    return bisect_left(boundaries, words)
