"""Small real parts that tests of several packages share."""

import random

import pytest

from model.text.tokenizer import Tokenizer
from training.vocabulary import learn_tokenizer

_WORDS = """
the a house dog man woman runs sleeps sees red small in on under at street and not
der die das ein Haus Hund Mann Frau läuft schläft sieht rot klein auf unter Straße und 10 3
"""


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Tokenizer:
    """A BPE tokenizer of 320 pieces, learned from a hundred lines of German and English words."""
    rng = random.Random(1)
    lines = [" ".join(rng.choices(_WORDS.split(), k=8)) + rng.choice(".!?") for _ in range(100)]
    return Tokenizer(learn_tokenizer(lines, kind="bpe", vocab_size=320))
