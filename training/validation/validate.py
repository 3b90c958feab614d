"""Validating: the one place in training where text and symbols part, by the vocabulary."""

import torch

from model.config import ModelConfig
from model.decoding.options import SearchOptions
from model.network.seq2seq import Seq2Seq
from model.text.profile import TextProfile
from model.text.symbols import Symbols
from model.text.vocabulary import Vocabulary
from training.config.validation_config import ValidationConfig
from training.data.text_corpus import Corpus
from training.validation.evaluation import Evaluation, evaluate
from training.validation.readable import check_readable
from training.validation.symbol_evaluation import check_lengths, evaluate_symbols


def validate(
    network: Seq2Seq,
    corpus: Corpus,
    vocabulary: Vocabulary,
    search: SearchOptions,
    *,
    profile: TextProfile,
    validation: ValidationConfig,
    samples: int,
    dtype: torch.dtype,
) -> Evaluation:
    """Score `network` on `corpus`; see `evaluate` and `evaluate_symbols`."""
    if isinstance(vocabulary, Symbols):
        return evaluate_symbols(network, corpus, vocabulary, search, samples=samples, dtype=dtype)
    return evaluate(
        network,
        corpus,
        vocabulary,
        search,
        profile=profile,
        validation=validation,
        samples=samples,
        dtype=dtype,
    )


def check_dev_set(
    name: str,
    corpus: Corpus,
    vocabulary: Vocabulary,
    config: ModelConfig,
    search: SearchOptions,
    profile: TextProfile,
) -> None:
    """Check that `corpus`, which the key `name` names, can be validated on, before any training.

    Raises:
        DataError: see `check_readable` and `check_lengths`.
    """
    if isinstance(vocabulary, Symbols):
        check_lengths(name, corpus.sources, config.max_length)
    else:
        check_readable(name, corpus.pairs, vocabulary, config, search, profile)
