"""VectorCorpus: sequences of vectors and their targets, read whole, and what a network reads."""

# Shapes: S source length, T target length, W numbers in a vector.

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Generic, TypeVar

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
from training.data.corpus_report import EXAMPLES, CorpusReport
from training.vectors.series_windows import Part, window_pairs

TOO_LONG = "longer than model.max_length"


Target = TypeVar("Target", Frames, str)
"""What belongs to a source: a sequence of vectors, or a line of symbols."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorCorpus(Generic[Target]):
    """Pairs as the files have them: sequences of vectors, each with its target."""

    sources: list[Frames]
    targets: list[Target]
    report: CorpusReport

    def first(self, count: int) -> "VectorCorpus[Target]":
        """The first pairs."""
        return replace(self, sources=self.sources[:count], targets=self.targets[:count])

    def digest(self) -> str:
        """Compute SHA-256 of all pairs, to check that a resumed run reads the same."""
        digest = hashlib.sha256()
        for one in self.sources:
            digest.update(_content(one))
        for other in self.targets:
            digest.update(_content(other))
        return digest.hexdigest()


def _content(one: Frames | str) -> bytes:
    return f"{one}\n".encode() if isinstance(one, str) else repr(one.shape).encode() + one.tobytes()


def read_corpora(
    corpora: Sequence[CorpusConfig], config: TrainConfig, part: Part, *, most: int | None
) -> VectorCorpus[Frames]:
    """Read all pairs of the corpora, whose targets are vectors.

    Args:
        part: which windows of series are read, if they are series.
        most: vectors of the longest side of a pair that is kept; None for any number.

    Raises:
        DataError: a file cannot be read, a sequence is no sequence of vectors, or a pair does not
            fit together, or none is left.
    """

    def misfit(source: Frames, target: Frames) -> str:
        return TOO_LONG if most is not None and max(len(source), len(target)) > most else ""

    pairs = (pair for corpus in corpora for pair in _pairs(corpus, config, part))
    return corpus_of(pairs, config, part, misfit=misfit, length=len)


def corpus_of(
    pairs: Iterable[tuple[Frames, Target, str]],
    config: TrainConfig,
    part: Part,
    *,
    misfit: Callable[[Frames, Target], str],
    length: Callable[[Target], int],
    unit: str = "vectors",
) -> VectorCorpus[Target]:
    """Collect pairs, of which the last part is where they stand.

    Args:
        misfit: why a pair is left out; "" if it is not.
        length: of a target, in `unit`.

    Raises:
        DataError: none is left.
    """
    sources: list[Frames] = []
    targets: list[Target] = []
    dropped: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    for source, target, where in pairs:
        if reason := misfit(source, target):
            dropped[reason] += 1
            if dropped[reason] <= EXAMPLES:
                told = f"{where}: {len(source):,} vectors and {length(target):,} {unit}"
                examples.setdefault(reason, []).append(told)
            continue
        sources.append(source)
        targets.append(target)
    lines = len(sources) + dropped.total()
    if not sources:
        if dropped:
            told = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items())
            raise DataError(
                f"data: none of {lines:,} pairs for {part} is left: {told}. Give other files, or "
                "raise model.max_length."
            )
        windows = config.data.windows
        mend = "Move data.windows.split" if windows and windows.split else "Give other files"
        raise DataError(f"data: there is no pair for {part} in the files. {mend}.")
    report = CorpusReport(
        lines=lines,
        dropped=dict(dropped),
        examples=examples,
        source_pieces=float(np.mean([len(one) for one in sources])),
        target_pieces=float(np.mean([length(one) for one in targets])),
        source_unit="" if unit == "vectors" else "vectors",
        unit=unit,
    )
    return VectorCorpus(sources=sources, targets=targets, report=report)


def _pairs(
    corpus: CorpusConfig, config: TrainConfig, part: Part
) -> Iterator[tuple[Frames, Frames, str]]:
    """The pairs of a corpus whose targets are vectors, and where each stands."""
    if config.data.windows is not None:
        for path in config.data.paths(corpus.files):
            yield from window_pairs(path, config.data.windows, part)
        return
    for source, target, where, there in paired(corpus, config, read_sequences):
        check_width(target, config.target.width, there, "target.width")
        wanted = config.target.steps or len(source)
        if len(target) != wanted:
            raise DataError(
                f"{there}: {len(target):,} vectors, but by target.length it must have "
                f"{wanted:,}" + ("." if config.target.steps else ", as many as its source.")
            )
        yield source, target, where


def paired(
    corpus: CorpusConfig, config: TrainConfig, read_targets: Callable[[Path, str], Iterator[Target]]
) -> Iterator[tuple[Frames, Target, str, str]]:
    """The pairs of the files of a corpus, and where the source and the target of each stand.

    Args:
        read_targets: reads the targets of a file, in a field if it has some.

    Raises:
        DataError: a file cannot be read, or a source is no sequence of vectors of `source.width`.
    """
    for source_file, target_file in _files(corpus, config.data):
        sides = (
            read_sequences(source_file, str(corpus.source_column or "source")),
            read_targets(target_file, str(corpus.target_column or "target")),
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
            yield source, target, where, f"{target_file}, sequence {number}"


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


def learned(corpus: VectorCorpus[Frames], form: VectorForm) -> VectorCorpus[Frames]:
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


def normalised(sequences: Sequence[Frames], statistics: Statistics) -> list[Frames]:
    """Sequences, which are `learned`, as a network reads and gives them."""
    return [statistics.normalised(torch.from_numpy(one)).numpy() for one in sequences]
