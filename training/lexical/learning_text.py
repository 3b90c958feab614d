"""Learning text: what the shortlist of a trained model is learned from, and measured on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from model.checkpoint.checkpoint import Checkpoint
from model.errors import ConfigError, DataError
from training.config.data_config import CorpusConfig, DataConfig
from training.config.train_config import ShortlistConfig, TrainConfig, load_config
from training.data.batching import Ids
from training.data.counter_rng import line_keys
from training.data.indexed_corpus import Side
from training.data.subword_sampler import SubwordSampler
from training.data.text_corpus import Corpus, encode_corpus, hold_out, read_pairs
from training.data.training_set import even_pairs, load_training_set, make_loader


@dataclass(frozen=True, kw_only=True, slots=True)
class LearningText:
    """What a shortlist is learned from, and what it is measured on."""

    sources: Sequence[Ids]
    """As decoding segments them."""
    targets: Sequence[Ids]
    """As the training segmented them."""
    held_out: Corpus


def text_of_config(config: TrainConfig, model: Checkpoint, sizes: ShortlistConfig) -> LearningText:
    """Read the training text of a run and its dev set, as the training does.

    Raises:
        DataError: the text is not there, or damaged.
    """
    try:
        data = load_training_set(config.data, model.tokenizer, max_length=model.config.max_length)
        dev = encode_corpus(
            read_pairs(config.data.dev, config.data),
            model.tokenizer,
            max_length=None,
            normalization=model.profile.normalization,
        )
    except DataError as error:
        raise DataError(f"{error} Or give parallel text with --source and --target.") from None
    config = replace(config, run=replace(config.run, batch_tokens=2000))  # no batch is made
    loader = make_loader(config, data, model.tokenizer)
    sources, targets = even_pairs(loader, most_links=sizes.max_links, sampled=True)
    return LearningText(sources=sources, targets=targets, held_out=dev)


def given_text(corpus: CorpusConfig, model: Checkpoint, sampling: float) -> LearningText:
    """Read the parallel text of the command line; relative paths begin at the working folder.

    Raises:
        DataError: a file cannot be read or does not fit its counterpart.
        ConfigError: the tokenizer cannot sample.
    """
    data = DataConfig(
        train=(corpus,),
        dev=corpus,
        data_dir=Path(),
        source_language="",
        target_language="",
        license="",
    )
    train, held_out = (
        encode_corpus(
            part,
            model.tokenizer,
            max_length=model.config.max_length,
            normalization=model.profile.normalization,
        )
        for part in hold_out(read_pairs(corpus, data))
    )
    targets = train.targets
    if sampling:
        rows = np.arange(len(targets), dtype=np.uint64)
        keys = line_keys(0, 0, 0, np.zeros_like(rows), rows)
        sampler = SubwordSampler(model.tokenizer, alpha=sampling, seed=0)
        targets = sampler.sample(Side.joined(targets), keys).split()
    return LearningText(sources=train.sources, targets=targets, held_out=held_out)


def learning_text(
    run: Path | None,
    model: Checkpoint,
    corpus: CorpusConfig | None,
    sampling: float | None,
    sizes: ShortlistConfig,
) -> LearningText:
    """Read the given text, else that of the config of `run`.

    Raises:
        ConfigError: there is neither.
        DataError: as `text_of_config` and `given_text`.
    """
    config = None if run is None else load_config(run / "config.yaml")
    if config is not None and sampling is not None:
        config = replace(config, tokenizer=replace(config.tokenizer, sampling=sampling))
    if corpus is not None:
        known = config.tokenizer.sampling if config is not None else sampling
        return given_text(corpus, model, known or 0.0)
    if config is None:
        raise ConfigError(
            f"{model.path}: no config.yaml beside it says what it was trained on. Give parallel "
            "text with --source and --target, or --files."
        )
    return text_of_config(config, model, sizes)
