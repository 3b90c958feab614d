"""Learning the vocabulary of the side of lines, where the other side is vectors."""

from collections.abc import Iterable

from model.errors import DataError
from model.text.alphabet import Cut
from model.text.symbols import Symbols
from model.text.tokenizer import Tokenizer
from training.config.train_config import TrainConfig
from training.data.learn_symbols import symbols_of
from training.data.learn_tokenizer import LEARNED_FROM, given_tokenizer, learned_tokenizer


def learned_symbols(
    lines: Iterable[str], *, source: Cut | None, target: Cut | None, most: int
) -> Symbols:
    """The alphabet of all lines of up to `most` symbols, which are of the side that has a cut.

    Raises:
        ConfigError, DataError: see `symbols_of`.
    """
    cut = source or target
    assert cut
    found: set[str] = set()
    for line in lines:
        if len(symbols := cut.cut(line)) <= most:
            found.update(symbols)
    none: set[str] = set()
    read, written = (found, none) if source else (none, found)
    return symbols_of(read, written, source, target, most)


def learned_pieces(lines: Iterable[str], config: TrainConfig) -> Tokenizer:
    """The tokenizer that the config names, or one that is learned from these lines alone.

    Raises:
        CheckpointError, ConfigError, DataError: see `given_tokenizer` and `learned_tokenizer`; or
            there is no line.
    """
    if config.tokenizer.model is not None:
        return given_tokenizer(config.data.path(config.tokenizer.model))
    kept = list(lines)
    if not kept:
        raise DataError(
            "data.train: no text in any pair whose vectors are at most model.max_length "
            f"{config.model.max_length}. Check the files, or raise it."
        )
    return learned_tokenizer(config.tokenizer, kept[:: -(-len(kept) // LEARNED_FROM)])


def usable(pairs: Iterable[tuple[int, str]], most: int) -> Iterable[str]:
    """The lines of pairs that may be trained on, by the steps of their other side."""
    return (line for steps, line in pairs if line.strip() and steps <= most)
