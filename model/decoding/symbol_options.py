"""Symbol options: which search options mean nothing for models of symbols."""

from model.decoding.options import SearchOptions
from model.errors import RequestError

TEXT_OPTIONS = (
    *("min_words", "max_words", "ratio", "prefix", "constraints", "avoid", "extractive"),
    *("split_sentences", "attention_span", "on_long", "best_windows"),
    *("source_language", "target_language"),
)
"""The options about words, sentences, long texts and languages."""


def check_symbol_options(options: SearchOptions, kind: str = "symbols") -> None:
    """Check that `options` ask for nothing that only a model from text to text has.

    Args:
        kind: what messages call what the model has instead.

    Raises:
        RequestError: naming the first option that does.
    """
    for name in TEXT_OPTIONS:
        value = getattr(options, name)
        if value != getattr(SearchOptions(), name):
            raise RequestError(f"{name}: {value!r} is for text, not for {kind}. Leave it out.")
