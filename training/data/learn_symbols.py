"""Learning the symbols of a run: all that occur in the pairs that it trains on."""

from collections.abc import Set

from model.errors import ConfigError, DataError
from model.io.progress import line_progress
from model.text.alphabet import MAX_SYMBOLS, Alphabet, Cut, is_symbol
from model.text.symbols import Symbols
from training.config.train_config import TrainConfig
from training.data.readers import count_pairs
from training.data.text_corpus import all_pairs


def learn_symbols(config: TrainConfig) -> Symbols:
    """Collect the symbols of both sides of the training pairs.

    Pairs that are blank or longer than `model.max_length` are no training pairs. Of the others,
    what cannot be a symbol is left out, such as a control character; the pairs that have it are
    then left out of the training, too.

    Raises:
        ConfigError: they are too many for a closed alphabet.
        DataError: there are none, or the data cannot be read.
    """
    source, target, most = config.source.cut(), config.target.cut(), config.model.max_length
    read: set[str] = set()
    written: set[str] = set()
    total = sum(count_pairs(corpus, config.data) for corpus in config.data.train)
    with line_progress("dragoman-train: learning the symbols", total) as advance:
        for pair in all_pairs(config.data.train, config.data):
            sides = source.cut(pair.source), target.cut(pair.target)
            if pair.source.strip() and pair.target.strip() and max(map(len, sides)) <= most:
                read.update(sides[0])
                written.update(sides[1])
            advance(1)
            if max(len(read), len(written)) > 2 * MAX_SYMBOLS:
                break  # this is no alphabet, and may not fit into memory
    return symbols_of(read, written, source, target, most)


def symbols_of(
    read: Set[str], written: Set[str], source: Cut | None, target: Cut | None, most: int
) -> Symbols:
    """Make the alphabet of what was found in pairs of up to `most` steps.

    Args:
        read, written: what was found in sources and in targets.
        source, target: how the lines of a side are cut; None if they are vectors.

    Raises:
        ConfigError, DataError: see `learn_symbols`.
    """
    symbols = tuple(sorted(filter(is_symbol, read | written)))
    if not symbols:
        raise DataError(
            "data.train: no symbols in any pair that is not blank and has at most "
            f"model.max_length {most} symbols. Check the files, or raise it."
        )
    try:
        known = tuple(symbol for symbol in symbols if symbol in read)
        return Symbols(Alphabet(source=source, target=target, symbols=symbols, read=known))
    except ConfigError as error:
        raise ConfigError(f"data.train: {error}") from None
