"""BatchLoader: endless, reproducible batches of the training data, from any position.

A window of pairs is read, segmented and planned while the one before is trained on, so the memory
does not depend on how many pairs there are. Which pairs a batch has, and what is drawn for each of
them, depends on the data, the seed and the position only.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.text.tokenizer import EOS_ID, UNK_ID
from model.text.vocabulary import Vocabulary, text_tokenizer
from training.data.batching import Ids, Rows, plan_epoch
from training.data.counter_rng import Keys, chosen, line_keys
from training.data.indexed_corpus import IndexedCorpus, Pairs, Side
from training.data.joining import Groups, draw_groups
from training.data.length_buckets import LengthBuckets
from training.data.noise import disturbed
from training.data.position import Position
from training.data.sampler import Run, epoch_counts, num_windows, window_runs
from training.data.subword_sampler import SubwordSampler

# What the numbers of a line are drawn for: its segmentations and its hidden words, of each side,
# whether it has a length piece, which pairs it is joined with, and how its source is disturbed.
_SEGMENTS, _HIDDEN, _LENGTHS, _JOINED, _NOISE = (0, 1), (2, 3), 4, 5, 6


class Origins(NamedTuple):
    """Where the P pairs of a batch come from, in its order; a joined line has several."""

    corpora: NDArray[np.int64]  # (P,) numbers of the corpora
    rows: NDArray[np.int64]  # (P,) of the cached corpus: pairs that were left out do not count
    places: NDArray[np.int64]  # (P,) of the lines in the batch


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
    """Most pieces of a side; a line that sampling or noise makes longer keeps its ordinary ones."""
    joined: float
    """Share of the lines that are several pairs; see `draw_groups`."""
    noise: float
    """Share of the pairs whose source is disturbed; see `disturb`."""
    source_language: str
    """Tag, which the noise depends on."""
    temperature: float
    seed: int
    sampling: float
    word_dropout: float


class BatchLoader:
    """Draws batches from `position` on, and moves it."""

    def __init__(
        self,
        corpora: Sequence[TrainingCorpus],
        tokenizer: Vocabulary,
        settings: LoaderSettings,
        lengths: LengthBuckets | None = None,
    ) -> None:
        """With `lengths`, sources begin with length pieces."""
        self.position = Position()
        self.drawn = np.zeros(0, np.int64)  # places of the last batch in its window
        self.corpora = corpora
        self.settings, self.lengths, self.tokenizer = settings, lengths, tokenizer
        self.sizes = [len(corpus.cached) for corpus in corpora]
        weights = [corpus.weight for corpus in corpora]
        self.counts = epoch_counts(self.sizes, weights, settings.temperature)
        self.sampler = None
        if settings.sampling:
            self.sampler = SubwordSampler(
                text_tokenizer(tokenizer), alpha=settings.sampling, seed=settings.seed
            )

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

    @cached_property
    def line_sizes(self) -> NDArray[np.int64]:
        """How many pairs each line of the first window has, a fair sample of all."""
        if not self.settings.joined:  # nothing needs to be read
            return np.ones(1, np.int64)
        taken = enumerate(self._taken(0, 0))
        sizes = [
            self._groups(number, runs, self._pairs(number, runs)).sizes
            for number, runs in taken
            if runs
        ]
        return np.concatenate(sizes)

    def origins(self) -> Origins:
        """Find where the pairs of the batch come from that was drawn last."""
        epoch, window, _ = self.position
        parts: list[tuple[int, Ids]] = []
        for number, runs in enumerate(self._taken(epoch, window)):
            if runs:
                rows = np.concatenate([np.arange(run.start, run.stop) for run in runs])
                groups = self._groups(number, runs, self._pairs(number, runs))
                lines = np.split(rows[groups.order], groups.starts[1:])
                parts += [(number, line) for line in lines]
        drawn = [parts[place] for place in self.drawn.tolist()]
        sizes = [len(line) for _, line in drawn]
        return Origins(
            np.repeat([number for number, _ in drawn], sizes),
            np.concatenate([line for _, line in drawn]),
            np.repeat(np.arange(len(drawn)), sizes),
        )

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

    def _pairs(self, number: int, runs: Sequence[Run]) -> Pairs:
        """Read the pairs of these runs of corpus `number` as they are stored."""
        cached = self.corpora[number].cached
        return join_pairs([cached.read(run.start, run.stop) for run in runs])

    def _keys(self, number: int, runs: Sequence[Run], use: int) -> Keys:
        """Make the keys of the pairs of these runs, for one use."""
        sizes = [run.stop - run.start for run in runs]
        passes = np.repeat(np.array([run.number for run in runs], np.uint64), sizes)
        lines = np.concatenate([np.arange(run.start, run.stop, dtype=np.uint64) for run in runs])
        return line_keys(self.settings.seed, use, number, passes, lines)

    def _most(self, number: int) -> tuple[int, int]:
        """The most pieces of a source of corpus `number`, besides those put before it, and of a
        target."""
        most = self.settings.max_length
        return most - len(self.corpora[number].tag) - (self.lengths is not None), most

    def _groups(self, number: int, runs: Sequence[Run], pairs: Pairs) -> Groups:
        """Draw which of the pairs of these runs are joined, by their ordinary pieces."""
        keys, share = self._keys(number, runs, _JOINED), self.settings.joined
        return draw_groups(keys, share, pairs.source, pairs.target, most=self._most(number))

    def _read(self, number: int, runs: Sequence[Run]) -> Rows:
        """Read these runs of corpus `number`: segmented, with words hidden, and joined."""
        pairs, tag = self._pairs(number, runs), self.corpora[number].tag
        groups = self._groups(number, runs, pairs)
        sources, targets = self._segmented(number, runs, pairs, groups)
        inputs = targets
        if self.settings.word_dropout:
            sources = self._hidden(sources, self._keys(number, runs, _HIDDEN[0]))
            inputs = self._hidden(targets, self._keys(number, runs, _HIDDEN[1]))
        sources, targets, inputs = map(groups.join, (sources, targets, inputs))
        if tag:
            before = np.array(tag, np.int32)
            sources = [np.concatenate([before, ids]) for ids in sources]
        if self.lengths:
            ordinary = Side.joined(groups.join(pairs.target.split()))
            first = groups.order[groups.starts]
            keys = self._keys(number, runs, _LENGTHS)[first]
            sources = self.lengths.placed(sources, ordinary, keys)
        weights = groups.mean_weights(pairs.weights, pairs.target.lengths)
        return Rows(sources, targets, weights, inputs)

    def _segmented(
        self, number: int, runs: Sequence[Run], pairs: Pairs, groups: Groups
    ) -> tuple[list[Ids], list[Ids]]:
        """Disturb sources and segment both sides anew, but not in lines that become too long."""
        sources, targets = pairs.source.split(), pairs.target.split()
        if not self.sampler and not self.settings.noise:
            return sources, targets
        source, target = pairs.source, pairs.target
        if self.settings.noise:
            source = disturbed(
                source,
                self._keys(number, runs, _NOISE),
                text_tokenizer(self.tokenizer),
                share=self.settings.noise,
                language=self.settings.source_language,
            )
        if self.sampler:
            source, target = (
                self.sampler.sample(side, self._keys(number, runs, use))
                for side, use in zip((source, target), _SEGMENTS, strict=True)
            )
        most = self._most(number)
        lines = groups.totals(source.lengths) <= most[0]
        lines &= groups.totals(target.lengths) <= most[1]
        fits = groups.spread(lines)
        return _where(fits, source, sources), _where(fits, target, targets)

    def sampled(self, number: int, rows: NDArray[np.int64], targets: list[Ids]) -> list[Ids]:
        """Segment the targets in these rows of corpus `number` as in the first pass."""
        if not self.sampler:
            return targets
        lines = rows.astype(np.uint64)
        first = np.zeros_like(lines)
        keys = line_keys(self.settings.seed, _SEGMENTS[1], number, first, lines)
        return self.sampler.sample(Side.joined(targets), keys).split()

    def _hidden(self, side: Sequence[Ids], keys: Keys) -> list[Ids]:
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
