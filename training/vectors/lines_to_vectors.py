"""The data of a training from lines, of symbols or of text, to vectors."""

from collections.abc import Sequence

import numpy as np

from model.jobs.line_files import file_lines
from model.text.tokenizer import EOS_ID, UNK_ID
from model.text.vocabulary import Vocabulary
from model.vectors.frame_files import Frames
from model.vectors.vector_form import VectorForm
from training.config.data_config import CorpusConfig
from training.config.train_config import TrainConfig
from training.data.corpus_report import UNKNOWN_SYMBOLS
from training.validation.symbol_evaluation import check_lengths
from training.vectors.frame_rows import SourceIds
from training.vectors.line_vocabulary import learned_pieces, learned_symbols, usable
from training.vectors.ready_data import ReadyData, digests_of
from training.vectors.series_windows import Part
from training.vectors.vector_batch import VectorRows
from training.vectors.vector_corpus import (
    TOO_LONG,
    VectorCorpus,
    check_steps,
    corpus_of,
    differences_of,
    frames_of,
    normalised,
    paired,
    statistics_of,
)
from training.vectors.vector_evaluation import vector_evaluation
from training.vectors.vector_loss import VectorObjective

Pairs = list[tuple[str, Frames, str, str]]
"""Lines, their vectors, and where each of both stands."""


def lines_to_vectors(config: TrainConfig, known: Vocabulary | None) -> ReadyData:
    """Read the pairs of `config`.

    Args:
        known: the vocabulary of a run that is resumed; learned from the training pairs if None.

    Raises:
        ConfigError: the vocabulary that is asked for cannot be learned.
        DataError: the data cannot be read, no pair is left, or a dev source is too long.
    """
    most = config.model.max_length
    pairs = _read(config.data.train, config)
    vocabulary = known or _learned(pairs, config)
    train = _corpus(pairs, vocabulary, config, "train", most=most)
    dev = _corpus(_read([config.data.dev], config), vocabulary, config, "dev", most=None)
    ids, dev_ids = (_ids(one.sources, vocabulary) for one in (train, dev))
    check_lengths("data.dev", [one[:-1] for one in dev_ids], most, vocabulary.kind)
    form = VectorForm(steps=config.target.steps, differences=config.target.differences)
    lesson, examination = (
        differences_of(one.targets) if form.differences else one.targets for one in (train, dev)
    )
    statistics, kind = statistics_of(lesson, "target"), config.target.loss or "mse"
    dev_rows = VectorRows(dev_ids, normalised(examination, statistics))

    return ReadyData(
        rows=VectorRows(ids, normalised(lesson, statistics)),
        reports={"train": train.report, "dev": dev.report},
        digests=digests_of(train.digest(), dev.digest()),
        statistics=statistics.named("target"),
        vocabulary=form,
        reads=vocabulary,
        search=form.search,
        objective=VectorObjective(kind=kind),
        dev_size=len(dev.sources),
        validation=config.validation,
        evaluate=vector_evaluation(dev, dev_rows, form, vocabulary, loss=kind, most=most),
    )


def _read(corpora: Sequence[CorpusConfig], config: TrainConfig) -> Pairs:
    targets = frames_of(config, "target")
    return [pair for corpus in corpora for pair in paired(corpus, config, file_lines, targets)]


def _learned(pairs: Pairs, config: TrainConfig) -> Vocabulary:
    """The vocabulary of all pairs that may be trained on."""
    most = config.model.max_length
    lines = usable(((len(target), line) for line, target, _, _ in pairs), most)
    if config.source.kind == "pieces":
        return learned_pieces(lines, config)
    return learned_symbols(lines, source=config.source.cut(), target=None, most=most)


def _corpus(
    pairs: Pairs, vocabulary: Vocabulary, config: TrainConfig, part: Part, *, most: int | None
) -> VectorCorpus[str, Frames]:
    """The pairs that are kept: of a dev set, without `most`, all that can be read.

    Raises:
        DataError: a target has not as many vectors as its source has symbols, if it must have.
    """
    encode, steps = vocabulary.source.encode, config.target.steps

    def misfit(line: str, target: Frames) -> str:
        if not line.strip():
            return "blank"
        ids = encode(line)
        if vocabulary.closed and UNK_ID in ids:
            return UNKNOWN_SYMBOLS
        return TOO_LONG if most and max(len(ids), len(target)) > most else ""

    def length(line: str) -> int:
        return len(encode(line))

    for line, target, _, there in pairs:
        if line.strip():
            check_steps(target, steps, length(line), there)
    return corpus_of(
        ((line, target, where) for line, target, where, _ in pairs),
        config,
        part,
        misfit=misfit,
        lengths=(length, len),
        units=(vocabulary.kind, "vectors"),
    )


def _ids(lines: Sequence[str], vocabulary: Vocabulary) -> list[SourceIds]:
    """The ids of each line, with EOS."""
    encoded = vocabulary.source.encode_lines(lines)
    return [np.array([*ids, EOS_ID], np.int64) for ids in encoded]
