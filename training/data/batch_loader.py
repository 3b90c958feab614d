"""BatchLoader: endless, reproducible batches of the training data, from any position.

A window of pairs is read, segmented and planned while the one before is trained on, so the memory
does not depend on how many pairs there are. Which pairs a batch has, and what is drawn for each of
them, depends on the data, the seed and the position only.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.text.tokenizer import EOS_ID, UNK_ID, Tokenizer
from training.data.batching import Ids, Rows, plan_epoch
from training.data.counter_rng import chosen, line_keys
from training.data.indexed_corpus import IndexedCorpus, Pairs, Side
from training.data.length_buckets import LengthBuckets
from training.data.sampler import Run, epoch_counts, num_windows, window_runs
from training.data.subword_sampler import SubwordSampler

# What the numbers of a line are drawn for: its segmentations and its hidden words, of each side,
# and whether it has a length piece.
_SEGMENTS, _HIDDEN, _LENGTHS = (0, 1), (2, 3), 4


class Position(NamedTuple):
    """Position of a run in its data."""

    epoch: int = 0
    window: int = 0
    batches: int = 0
    """Batches of this window that have been drawn."""


class Origins(NamedTuple):
    """Where the pairs of a batch come from, in its order."""

    corpora: NDArray[np.int64]  # (N,) numbers of the corpora
    rows: NDArray[np.int64]  # (N,) of the cached corpus: pairs that were left out do not count


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingCorpus:
    """A cached corpus, with its weight and tag."""

    cached: IndexedCorpus
    weight: float
    """Relative share of an epoch; see `epoch_counts`."""
    tag: list[int]
    """Ids put before each source."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoaderSettings:
    """How pairs become batches."""

    batch_tokens: int
    max_length: int
    """Most pieces of a side; a pair that sampling makes longer keeps its ordinary pieces."""
    temperature: float
    seed: int
    sampling: float
    word_dropout: float


class BatchLoader:
    """Draws batches from `position` on, and moves it."""

    def __init__(
        self,
        corpora: Sequence[TrainingCorpus],
        tokenizer: Tokenizer,
        settings: LoaderSettings,
        lengths: LengthBuckets | None = None,
    ) -> None:
        """With `lengths`, sources begin with length pieces."""
        self.position = Position()
        self.drawn = np.zeros(0, np.int64)  # places of the last batch in its window
        self.corpora = corpora
        self.settings, self.lengths = settings, lengths
        self.sizes = [len(corpus.cached) for corpus in corpora]
        weights = [corpus.weight for corpus in corpora]
        self.counts = epoch_counts(self.sizes, weights, settings.temperature)
        self.sampler = None
        if settings.sampling:
            self.sampler = SubwordSampler(tokenizer, alpha=settings.sampling, seed=settings.seed)

    def batches(self) -> Iterator[Rows]:
        """Yield global batches without end; `position` is already after the batch yielded.

        While a window is trained on, a thread prepares the next one: a GPU would wait for it.
        """
        epoch, window, done = self.position
        with ThreadPoolExecutor(1, "next window") as thread:
            coming = thread.submit(self.planned, epoch, window)
            while True:
                rows, plan = coming.result()
                last = window + 1 == num_windows(self.counts)
                following = Position(epoch + 1) if last else Position(epoch, window + 1)
                coming = thread.submit(self.planned, following.epoch, following.window)
                for number, places in enumerate(plan[done:], done + 1):
                    self.position = Position(epoch, window, number)
                    self.drawn = places
                    yield rows.only(places)
                self.position = following
                epoch, window, done = following

    def origins(self) -> Origins:
        """Find where the pairs of the batch come from that was drawn last."""
        epoch, window, _ = self.position
        taken = self._taken(epoch, window)
        lines = [np.arange(run.start, run.stop) for runs in taken for run in runs]
        sizes = [sum(run.stop - run.start for run in runs) for runs in taken]
        corpora = np.repeat(np.arange(len(sizes)), sizes)
        return Origins(corpora[self.drawn], np.concatenate(lines)[self.drawn])

    def planned(self, epoch: int, window: int) -> tuple[Rows, list[NDArray[np.int64]]]:
        """Read the pairs of a window, and group them in batches."""
        rows = self.window(epoch, window)
        plan = plan_epoch(
            _lengths(rows.sources),
            _lengths(rows.targets),
            batch_tokens=self.settings.batch_tokens,
            generator=np.random.default_rng([self.settings.seed, epoch, window]),
        )
        return rows, plan

    def window(self, epoch: int, window: int) -> Rows:
        """Read the pairs of a window, in any order."""
        taken = self._taken(epoch, window)
        parts = [self._read(number, runs) for number, runs in enumerate(taken) if runs]
        return Rows(
            [ids for part in parts for ids in part.sources],
            [ids for part in parts for ids in part.targets],
            np.concatenate([part.weights for part in parts]),
            [ids for part in parts for ids in part.inputs],
        )

    def _taken(self, epoch: int, window: int) -> list[list[Run]]:
        """List the lines that a window takes from each corpus."""
        return window_runs(
            self.sizes, self.counts, epoch=epoch, window=window, seed=self.settings.seed
        )

    def _read(self, number: int, runs: Sequence[Run]) -> Rows:
        """Read these runs of corpus `number`, segmented and with words hidden."""
        corpus = self.corpora[number]
        pairs = join_pairs([corpus.cached.read(run.start, run.stop) for run in runs])
        sizes = [run.stop - run.start for run in runs]
        passes = np.repeat(np.array([run.number for run in runs], np.uint64), sizes)
        lines = np.concatenate([np.arange(run.start, run.stop, dtype=np.uint64) for run in runs])

        def keys(use: int) -> NDArray[np.uint64]:
            return line_keys(self.settings.seed, use, number, passes, lines)

        sources, targets = pairs.source.split(), pairs.target.split()
        if self.sampler:
            source, target = (
                self.sampler.sample(side, keys(use))
                for side, use in zip((pairs.source, pairs.target), _SEGMENTS, strict=True)
            )
            before = len(corpus.tag) + (self.lengths is not None)
            fits = source.lengths <= self.settings.max_length - before
            fits &= target.lengths <= self.settings.max_length
            sources, targets = _where(fits, source, sources), _where(fits, target, targets)
        inputs = targets
        if self.settings.word_dropout:
            sources = self._hidden(sources, keys(_HIDDEN[0]))
            inputs = self._hidden(targets, keys(_HIDDEN[1]))
        if corpus.tag:
            tag = np.array(corpus.tag, np.int32)
            sources = [np.concatenate([tag, ids]) for ids in sources]
        if self.lengths:
            sources = self.lengths.placed(sources, pairs.target, keys(_LENGTHS))
        return Rows(sources, targets, pairs.weights, inputs)

    def sampled(self, number: int, rows: NDArray[np.int64], targets: list[Ids]) -> list[Ids]:
        """Segment the targets in these rows of corpus `number` as in the first pass."""
        if not self.sampler:
            return targets
        lines = rows.astype(np.uint64)
        first = np.zeros_like(lines)
        keys = line_keys(self.settings.seed, _SEGMENTS[1], number, first, lines)
        return self.sampler.sample(Side.joined(targets), keys).split()

    def _hidden(self, side: Sequence[Ids], keys: NDArray[np.uint64]) -> list[Ids]:
        """Replace random pieces by UNK (word dropout), but no special pieces."""
        ids, lengths = Side.joined(side)
        hide = chosen(keys, lengths, self.settings.word_dropout) & (ids > EOS_ID)
        return Side(np.where(hide, UNK_ID, ids).astype(np.int32), lengths).split()


def join_pairs(parts: Sequence[Pairs]) -> Pairs:
    """Concatenate the pairs of all parts."""
    sources, targets, weights = zip(*parts, strict=True)
    return Pairs(_one_side(sources), _one_side(targets), np.concatenate(weights))


def _one_side(parts: Sequence[Side]) -> Side:
    return Side(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.lengths for part in parts]),
    )


def _where(fits: NDArray[np.bool_], drawn: Side, ordinary: list[Ids]) -> list[Ids]:
    """The sentences of `drawn` that fit (N,), and the ordinary ones in place of the others."""
    sentences = drawn.split()
    for place in np.flatnonzero(~fits).tolist():
        sentences[place] = ordinary[place]
    return sentences


def _lengths(sentences: Sequence[Ids]) -> NDArray[np.int64]:
    return np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
