"""Vocabulary: what makes the ids that a network reads and writes, of text or of symbols.

The two have the same attributes where training and checkpoints treat them alike: `source` and
`target`, which encode and decode the lines of a side; `vocab_size` and `piece`; `kind`; `model` and
`file_name`, the content and the name of its file; `closed`, whether lines with unknown symbols are
left out; and `normalization`, the rules by which sources are normalised in training.
"""

from model.text.symbols import Symbols
from model.text.tokenizer import Tokenizer

Vocabulary = Tokenizer | Symbols


def text_tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """The vocabulary as a tokenizer, for what only a training on text does.

    The config refuses all of that for symbols.
    """
    assert isinstance(vocabulary, Tokenizer)
    return vocabulary
