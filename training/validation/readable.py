"""Readable dev sets: a validation must not end a training because a text is too long."""

from model.config import ModelConfig
from model.decoding.options import SearchOptions
from model.errors import DataError, InputTooLong
from model.text.profile import TextProfile
from model.text.segmentation import Segmenter
from model.text.tokenizer import Tokenizer
from model.translation.assemble import cut_text
from training.data.text_corpus import TextPairs


def check_readable(
    name: str,
    pairs: TextPairs,
    tokenizer: Tokenizer,
    config: ModelConfig,
    search: SearchOptions,
    profile: TextProfile,
) -> None:
    """Check that all sources of `pairs` can be translated with `search`, before any training.

    Args:
        name: the key that names the pairs.

    Raises:
        DataError: some are too long to be read whole, and `search` refuses them.
    """
    if not profile.reads_whole or search.on_long != "refuse":
        return
    segmenter = Segmenter(tokenizer, config.max_length, profile)
    long = 0
    for source in pairs.sources:
        try:
            cut_text(segmenter, source, search)
        except InputTooLong:
            long += 1
    if long:
        raise DataError(
            f"{name}: {long:,} of {len(pairs.sources):,} sources are longer than the model reads "
            f"(model.max_length {config.max_length}). Set search.on_long to cut, raise "
            "model.max_length, or leave them out."
        )
