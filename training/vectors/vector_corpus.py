"""VectorCorpus: pairs of sequences of vectors, read whole, and what a network reads of them."""

# Shapes: S source length, T target length, W numbers in a vector.

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model.checkpoint.checkpoint import MAX_WEIGHT
from model.errors import DataError
from model.network.vectors import Statistics
from model.vectors.frame_files import Frames, check_width, read_sequences
from model.vectors.vector_form import VectorForm
from model.vectors.window_scale import WindowScale
from training.config.data_config import CorpusConfig, DataConfig
from training.config.train_config import TrainConfig
from training.data.corpus_report import CorpusReport
from training.vectors.series_windows import Part, window_pairs
from training.vectors.vector_batch import VectorRows

TOO_LONG = "longer than model.max_length"


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorCorpus:
    """Pairs of sequences as the files have them."""

    sources: list[Frames]
    targets: list[Frames]
    report: CorpusReport

    def first(self, count: int) -> "VectorCorpus":
        """The first pairs."""
        return replace(self, sources=self.sources[:count], targets=self.targets[:count])

    def digest(self) -> str:
        """Compute SHA-256 of all pairs, to check that a resumed run reads the same."""
        digest = hashlib.sha256()
        for one in (*self.sources, *self.targets):
            digest.update(repr(one.shape).encode() + one.tobytes())
        return digest.hexdigest()


def read_corpora(
    corpora: Sequence[CorpusConfig], config: TrainConfig, part: Part, *, most: int | None
) -> VectorCorpus:
    """Read all pairs of the corpora.

    Args:
        part: which windows of series are read, if they are series.
        most: vectors of the longest side of a pair that is kept; None for any number.

    Raises:
        DataError: a file cannot be read, a sequence is no sequence of vectors, or a pair does not
            fit together, or none is left.
    """
    sources: list[Frames] = []
    targets: list[Frames] = []
    lines = 0
    examples: list[str] = []
    for corpus in corpora:
        for source, target, where in _pairs(corpus, config, part):
            lines += 1
            if most is not None and max(len(source), len(target)) > most:
                examples.append(f"{where}: {len(source):,} and {len(target):,} vectors")
                continue
            sources.append(source)
            targets.append(target)
    dropped = lines - len(sources)
    if not sources:
        if dropped:
            raise DataError(
                f"data: none of {lines:,} pairs for {part} is left; {dropped:,} are {TOO_LONG}. "
                "Raise it, or give other files."
            )
        windows = config.data.windows
        mend = "Move data.windows.split" if windows and windows.split else "Give other files"
        raise DataError(f"data: there is no pair for {part} in the files. {mend}.")
    report = CorpusReport(
        lines=lines,
        dropped={TOO_LONG: dropped} if dropped else {},
        examples={TOO_LONG: examples[:3]} if dropped else {},
        source_pieces=float(np.mean([len(one) for one in sources])),
        target_pieces=float(np.mean([len(one) for one in targets])),
        unit="vectors",
    )
    return VectorCorpus(sources=sources, targets=targets, report=report)


def _pairs(
    corpus: CorpusConfig, config: TrainConfig, part: Part
) -> Iterator[tuple[Frames, Frames, str]]:
    """The pairs of a corpus, and where each stands."""
    if config.data.windows is not None:
        for path in config.data.paths(corpus.files):
            yield from window_pairs(path, config.data.windows, part)
        return
    for source_file, target_file in _files(corpus, config.data):
        sides = (
            read_sequences(source_file, str(corpus.source_column or "source")),
            read_sequences(target_file, str(corpus.target_column or "target")),
        )
        for number, (source, target) in enumerate(zip_longest(*sides), 1):
            if source is None or target is None:
                short, long = (source_file, target_file)[:: 1 if source is None else -1]
                raise DataError(
                    f"{short} has {number - 1:,} sequences, and {long} has more. Sequence i of one "
                    "must belong to sequence i of the other."
                )
            where = f"{source_file}, sequence {number}"
            check_width(source, config.source.width, where, "source.width")
            there = f"{target_file}, sequence {number}"
            check_width(target, config.target.width, there, "target.width")
            wanted = config.target.steps or len(source)
            if len(target) != wanted:
                raise DataError(
                    f"{there}: {len(target):,} vectors, but by target.length it must have "
                    f"{wanted:,}" + ("." if config.target.steps else ", as many as its source.")
                )
            yield source, target, where


def vector_files(corpus: CorpusConfig, data: DataConfig) -> list[Path]:
    """All files of a corpus.

    Raises:
        DataError: a name means no file.
    """
    if corpus.files:
        return data.paths(corpus.files)
    return data.paths(corpus.source) + data.paths(corpus.target)


def _files(corpus: CorpusConfig, data: DataConfig) -> list[tuple[Path, Path]]:
    """The file of the sources and of the targets, for each part of a corpus."""
    if corpus.files:
        return [(path, path) for path in data.paths(corpus.files)]
    sources, targets = data.paths(corpus.source), data.paths(corpus.target)
    if len(sources) != len(targets):
        raise DataError(
            f"{len(sources)} files of sources, but {len(targets)} of targets. Name as many."
        )
    return list(zip(sources, targets, strict=True))


def differences(target: NDArray[np.float32]) -> NDArray[np.float64]:
    """The first vector of a target (T, W), and how much each other one is above the one before."""
    return np.diff(target.astype(np.float64), axis=0, prepend=0)


def learned(corpus: VectorCorpus, form: VectorForm) -> VectorCorpus:
    """What a network learns from `corpus`, whose outputs have this form.

    Pairs are scaled by their sources, then the differences of targets are taken, as far as the form
    says so.
    """
    sources, targets = corpus.sources, corpus.targets
    if form.scaled_by:
        every = range(sources[0].shape[1])
        scales = [WindowScale.of(source) for source in sources]
        sources = [scale.scaled(x, every) for scale, x in zip(scales, sources, strict=True)]
        targets = [
            scale.scaled(y, form.scaled_by) for scale, y in zip(scales, targets, strict=True)
        ]
    if form.differences:
        targets = [differences(one).astype(np.float32) for one in targets]
    return replace(corpus, sources=sources, targets=targets)


def statistics_of(sequences: Sequence[Frames], side: str) -> Statistics:
    """Mean and standard deviation of each number, over all vectors; 1 where all are equal.

    Raises:
        DataError: they are too large for a checkpoint.
    """
    count = sum(map(len, sequences))
    mean = sum(one.sum(axis=0, dtype=np.float64) for one in sequences) / count
    square = sum(((one - mean) ** 2).sum(axis=0) for one in sequences) / count
    std = np.sqrt(square)
    std[std < np.finfo(np.float32).tiny] = 1.0
    for number, (middle, wide) in enumerate(zip(mean, std, strict=True), 1):
        if not (abs(middle) <= MAX_WEIGHT and wide <= MAX_WEIGHT):  # also if one is NaN
            raise DataError(
                f"data.train: number {number} of the {side} vectors is {middle:g} +- {wide:g}, but "
                f"a checkpoint holds up to {MAX_WEIGHT:g}. Divide it by a constant."
            )
    statistics = Statistics(len(mean))
    statistics.mean.copy_(torch.from_numpy(mean))
    statistics.std.copy_(torch.from_numpy(std))
    return statistics


def normalised(corpus: VectorCorpus, source: Statistics, target: Statistics) -> VectorRows:
    """The pairs of `corpus`, which is `learned`, as a network reads and gives them."""
    sources, targets = (
        [statistics.normalised(torch.from_numpy(one)).numpy() for one in side]
        for statistics, side in ((source, corpus.sources), (target, corpus.targets))
    )
    return VectorRows(sources, targets)
