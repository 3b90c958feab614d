"""The data of a training from vectors to lines, of symbols or of text."""

from collections.abc import Sequence

import numpy as np
import torch

from model.decoding.engine import check_room, room_for
from model.jobs.line_files import file_lines
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import UNK_ID
from model.text.vocabulary import Vocabulary
from model.vectors.frame_files import Frames
from training.config.data_config import CorpusConfig
from training.config.train_config import TrainConfig
from training.data.batching import Ids
from training.data.corpus_report import UNKNOWN_SYMBOLS
from training.losses.batch_loss import Objective
from training.validation.evaluation import Evaluation
from training.validation.symbol_evaluation import check_lengths
from training.vectors.line_evaluation import evaluate_lines
from training.vectors.line_rows import LineRows
from training.vectors.line_targets import Pairs
from training.vectors.piece_targets import PieceTargets
from training.vectors.ready_data import ReadyData, digests_of
from training.vectors.series_windows import Part
from training.vectors.symbol_targets import SymbolTargets
from training.vectors.vector_corpus import (
    TOO_LONG,
    VectorCorpus,
    corpus_of,
    frames_of,
    normalised,
    paired,
    statistics_of,
)


def line_data(config: TrainConfig, known: Vocabulary | None) -> ReadyData:
    """Read the pairs of `config`.

    Args:
        known: the vocabulary of a run that is resumed; learned from the training pairs if None.

    Raises:
        ConfigError: the vocabulary that is asked for cannot be learned, or not be scored.
        DataError: the data cannot be read, no pair is left, or a dev source is too long.
        RequestError: the search options allow longer outputs than there is room for.
    """
    most = config.model.max_length
    check_room(config.search, most, room_for(config.search, most))
    targets = SymbolTargets(config) if config.target.kind == "symbols" else PieceTargets(config)
    pairs = _read(config.data.train, config)
    vocabulary = known or targets.learned(pairs)
    train = _corpus(pairs, vocabulary, config, "train", unit=targets.unit, most=most)
    held_out = _read([config.data.dev], config)
    dev = _corpus(held_out, vocabulary, config, "dev", unit=targets.unit, most=None)
    check_lengths("data.dev", dev.sources, most, "vectors")
    source = statistics_of(train.sources, "source")
    rows, dev_rows = (
        LineRows(normalised(one.sources, source), _ids(one.targets, vocabulary))
        for one in (train, dev)
    )
    validation = config.validation.resolved(config.data.target_language, dev.targets)
    scoring = targets.scoring(validation)

    def evaluate(
        network: Seq2Seq, first: int, device: torch.device, dtype: torch.dtype
    ) -> Evaluation:
        return evaluate_lines(
            network,
            dev.first(first),
            dev_rows.only(np.arange(first)),
            vocabulary,
            config.search,
            scoring,
            samples=config.run.sample_lines,
            device=device,
            dtype=dtype,
        )

    return ReadyData(
        rows=rows,
        reports={"train": train.report, "dev": dev.report},
        digests=digests_of(train.digest(), dev.digest()),
        statistics=source.named("source"),
        vocabulary=vocabulary,
        search=config.search,
        objective=Objective(smoothing=config.optimizer.label_smoothing),
        dev_size=len(dev.sources),
        evaluate=evaluate,
        validation=validation,
        profile=targets.profile,
    )


def _read(corpora: Sequence[CorpusConfig], config: TrainConfig) -> Pairs:
    return [
        (source, line, where)
        for corpus in corpora
        for source, line, where, _ in paired(
            corpus, config, frames_of(config, "source"), file_lines
        )
    ]


def _corpus(
    pairs: Pairs,
    vocabulary: Vocabulary,
    config: TrainConfig,
    part: Part,
    *,
    unit: str,
    most: int | None,
) -> VectorCorpus[Frames, str]:
    """The pairs that are kept: of a dev set, without `most`, all that the vocabulary can spell."""
    encode = vocabulary.target.encode

    def misfit(source: Frames, line: str) -> str:
        if most and not line.strip():
            return "blank"
        ids = encode(line)
        if most and max(len(source), len(ids)) > most:
            return TOO_LONG
        return UNKNOWN_SYMBOLS if vocabulary.closed and UNK_ID in ids else ""

    def length(line: str) -> int:
        return len(encode(line))

    lengths, units = (len, length), ("vectors", unit)
    return corpus_of(pairs, config, part, misfit=misfit, lengths=lengths, units=units)


def _ids(lines: Sequence[str], vocabulary: Vocabulary) -> list[Ids]:
    return [np.array(ids, np.int32) for ids in vocabulary.target.encode_lines(lines)]
