"""Making the vocabulary of a run: the one place where its config chooses pieces or symbols."""

from model.text.vocabulary import Vocabulary
from training.config.train_config import TrainConfig
from training.data.learn_symbols import learn_symbols
from training.data.learn_tokenizer import make_tokenizer


def make_vocabulary(config: TrainConfig) -> Vocabulary:
    """Learn or load the tokenizer of the config, or learn its symbols.

    Raises:
        CheckpointError, ConfigError, DataError: see `make_tokenizer` and `learn_symbols`.
    """
    if config.source.kind == "symbols":
        return learn_symbols(config)
    return make_tokenizer(config)
