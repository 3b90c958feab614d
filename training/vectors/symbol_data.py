"""The data of a training from vectors to symbols."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from model.decoding.engine import check_room, room_for
from model.errors import DataError
from model.io.lines import decode_line, read_raw_lines
from model.jobs.parquet import column_values
from model.network.seq2seq import Seq2Seq
from model.text.symbols import Symbols
from model.text.tokenizer import UNK_ID
from model.vectors.frame_files import Frames, parsed
from training.config.data_config import CorpusConfig
from training.config.train_config import TrainConfig
from training.data.batching import Ids
from training.data.corpus_report import UNKNOWN_SYMBOLS
from training.data.learn_symbols import symbols_of
from training.data.readers import file_kind
from training.losses.batch_loss import Objective
from training.validation.evaluation import Evaluation
from training.validation.symbol_evaluation import check_lengths
from training.vectors.evaluate_symbols import evaluate_frames
from training.vectors.ready_data import ReadyData, digests_of
from training.vectors.series_windows import Part
from training.vectors.symbol_rows import SymbolRows
from training.vectors.vector_corpus import (
    TOO_LONG,
    VectorCorpus,
    corpus_of,
    normalised,
    paired,
    statistics_of,
)

Pairs = list[tuple[Frames, str, str]]
"""Sources, their lines, and where each pair stands."""


def symbol_data(config: TrainConfig, known: Symbols | None) -> ReadyData:
    """Read the pairs of `config`.

    Args:
        known: the symbols of a run that is resumed; learned from the training pairs if None.

    Raises:
        ConfigError: there are too many symbols for a closed alphabet.
        DataError: the data cannot be read, no pair is left, or a dev source is too long.
        RequestError: the search options allow longer outputs than there is room for.
    """
    most = config.model.max_length
    check_room(config.search, most, room_for(config.search, most))
    pairs = _read(config.data.train, config)
    symbols = known or _learned(pairs, config)
    train = _corpus(pairs, symbols, config, "train", most=most)
    dev = _corpus(_read([config.data.dev], config), symbols, config, "dev", most=None)
    check_lengths("data.dev", dev.sources, most, "vectors")
    source = statistics_of(train.sources, "source")
    rows, dev_rows = (
        SymbolRows(normalised(one.sources, source), _ids(one.targets, symbols))
        for one in (train, dev)
    )

    def evaluate(
        network: Seq2Seq, first: int, device: torch.device, dtype: torch.dtype
    ) -> Evaluation:
        return evaluate_frames(
            network,
            dev.first(first),
            dev_rows.only(np.arange(first)),
            symbols,
            config.search,
            samples=config.run.sample_lines,
            device=device,
            dtype=dtype,
        )

    return ReadyData(
        rows=rows,
        reports={"train": train.report, "dev": dev.report},
        digests=digests_of(train.digest(), dev.digest()),
        statistics=source.named("source"),
        vocabulary=symbols,
        search=config.search,
        objective=Objective(smoothing=config.optimizer.label_smoothing),
        dev_size=len(dev.sources),
        evaluate=evaluate,
    )


def _read(corpora: Sequence[CorpusConfig], config: TrainConfig) -> Pairs:
    return [
        (source, line, where)
        for corpus in corpora
        for source, line, where, _ in paired(corpus, config, target_lines)
    ]


def _learned(pairs: Pairs, config: TrainConfig) -> Symbols:
    """The alphabet of all pairs that may be trained on."""
    cut, most = config.target.cut(), config.model.max_length
    found: set[str] = set()
    for source, line, _ in pairs:
        if len(source) <= most and len(symbols := cut.cut(line)) <= most:
            found.update(symbols)
    return symbols_of(found, None, cut, most)


def _corpus(
    pairs: Pairs, symbols: Symbols, config: TrainConfig, part: Part, *, most: int | None
) -> VectorCorpus[str]:
    """The pairs that are kept: of a dev set, without `most`, all that the alphabet can spell."""
    encode = symbols.target.encode

    def misfit(source: Frames, line: str) -> str:
        if most and not line.strip():
            return "blank"
        ids = encode(line)
        if most and max(len(source), len(ids)) > most:
            return TOO_LONG
        return UNKNOWN_SYMBOLS if UNK_ID in ids else ""

    def length(line: str) -> int:
        return len(encode(line))

    return corpus_of(pairs, config, part, misfit=misfit, length=length, unit="symbols")


def _ids(lines: Sequence[str], symbols: Symbols) -> list[Ids]:
    return [np.array(ids, np.int32) for ids in symbols.target.encode_lines(lines)]


def target_lines(path: Path, field: str) -> Iterator[str]:
    """The lines of a file; of .jsonl and .parquet the texts in `field`.

    Raises:
        DataError: the file cannot be read, or a text is none.
    """
    kind = file_kind(path)
    if kind == "parquet":
        for number, value in enumerate(column_values(path, field), 1):
            yield _decoded(value or b"", f"{path}, row {number}")
        return
    for number, line in enumerate(read_raw_lines(path), 1):
        where = f"{path}, line {number}"
        if kind != "jsonl":
            yield _decoded(line, where)
            continue
        text = parsed(line, field, where)
        if not isinstance(text, str):
            raise DataError(f"{where}: {field!r} holds no text. Name another with target_column.")
        yield text


def _decoded(line: bytes, where: str) -> str:
    try:
        return decode_line(line)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
