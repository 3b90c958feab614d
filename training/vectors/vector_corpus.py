"""VectorCorpus: pairs with vectors on at least one side, read whole, and what a network reads."""

# Shapes: S source length, T target length, W numbers in a vector.

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Generic, Literal, TypeVar

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


Source = TypeVar("Source", Frames, str)
Target = TypeVar("Target", Frames, str)
"""A side of a pair: a sequence of vectors, or a line."""

Reading = Callable[[Path, str], Iterator[Source]]
"""Reads one side of the pairs of a file, in a field if it has some."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorCorpus(Generic[Source, Target]):
    """Pairs as the files have them."""

    sources: list[Source]
    targets: list[Target]
    report: CorpusReport

    def first(self, count: int) -> "VectorCorpus[Source, Target]":
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
) -> VectorCorpus[Frames, Frames]:
    """Read all pairs of the corpora, of which both sides are vectors.

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
    return corpus_of(pairs, config, part, misfit=misfit, lengths=(len, len))


def corpus_of(
    pairs: Iterable[tuple[Source, Target, str]],
    config: TrainConfig,
    part: Part,
    *,
    misfit: Callable[[Source, Target], str],
    lengths: tuple[Callable[[Source], int], Callable[[Target], int]],
    units: tuple[str, str] = ("vectors", "vectors"),
) -> VectorCorpus[Source, Target]:
    """Collect pairs, of which the last part is where they stand.

    Args:
        misfit: why a pair is left out; "" if it is not.
        lengths: of a source and of a target, in `units`.

    Raises:
        DataError: none is left.
    """
    source_length, target_length = lengths
    sources: list[Source] = []
    targets: list[Target] = []
    dropped: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    for source, target, where in pairs:
        if reason := misfit(source, target):
            dropped[reason] += 1
            if dropped[reason] <= EXAMPLES:
                one, other = source_length(source), target_length(target)
                told = f"{where}: {one:,} {units[0]} and {other:,} {units[1]}"
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
        source_pieces=float(np.mean(list(map(source_length, sources)))),
        target_pieces=float(np.mean(list(map(target_length, targets)))),
        source_unit="" if units[0] == units[1] else units[0],
        unit=units[1],
    )
    return VectorCorpus(sources=sources, targets=targets, report=report)


def _pairs(
    corpus: CorpusConfig, config: TrainConfig, part: Part
) -> Iterator[tuple[Frames, Frames, str]]:
    """The pairs of a corpus of which both sides are vectors, and where each stands."""
    if config.data.windows is not None:
        for path in config.data.paths(corpus.files):
            yield from window_pairs(path, config.data.windows, part)
        return
    sides = frames_of(config, "source"), frames_of(config, "target")
    for source, target, where, there in paired(corpus, config, *sides):
        check_steps(target, config.target.steps, len(source), there)
        yield source, target, where


def check_steps(target: Frames, steps: int, source: int, where: str) -> None:
    """Check that a target has as many vectors as it must have.

    Args:
        steps: how many; 0 for as many as the `source` has steps.

    Raises:
        DataError: it has not.
    """
    wanted = steps or source
    if len(target) != wanted:
        raise DataError(
            f"{where}: {len(target):,} vectors, but by target.length it must have "
            f"{wanted:,}" + ("." if steps else ", as many as its source.")
        )


def frames_of(config: TrainConfig, side: Literal["source", "target"]) -> Reading[Frames]:
    """What reads the sequences of a side and checks that they have its width."""
    width = config.source.width if side == "source" else config.target.width

    def read(path: Path, field: str) -> Iterator[Frames]:
        for number, one in enumerate(read_sequences(path, field), 1):
            check_width(one, width, f"{path}, sequence {number}", f"{side}.width")
            yield one

    return read


def paired(
    corpus: CorpusConfig,
    config: TrainConfig,
    read_sources: Reading[Source],
    read_targets: Reading[Target],
) -> Iterator[tuple[Source, Target, str, str]]:
    """The pairs of the files of a corpus, and where the source and the target of each stand.

    Raises:
        DataError: a file cannot be read, or a side is not what it has to be.
    """
    units = [
        "sequence" if side.kind == "vectors" else "line" for side in (config.source, config.target)
    ]
    for source_file, target_file in _files(corpus, config.data):
        sides = (
            read_sources(source_file, str(corpus.source_column or "source")),
            read_targets(target_file, str(corpus.target_column or "target")),
        )
        for number, (source, target) in enumerate(zip_longest(*sides), 1):
            if source is None or target is None:
                short, long = (source_file, target_file)[:: 1 if source is None else -1]
                unit = units[source is not None]
                raise DataError(
                    f"{short} has {number - 1:,} {unit}s, and {long} has more. Each source needs "
                    "its target, at the same place."
                )
            place, there = (
                f"{file}, {unit} {number}"
                for file, unit in zip((source_file, target_file), units, strict=True)
            )
            yield source, target, place, there


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


def differences_of(targets: Sequence[Frames]) -> list[Frames]:
    """The `differences` of each target, as a network learns them."""
    return [differences(one).astype(np.float32) for one in targets]


def learned(corpus: VectorCorpus[Frames, Frames], form: VectorForm) -> VectorCorpus[Frames, Frames]:
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
        targets = differences_of(targets)
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
