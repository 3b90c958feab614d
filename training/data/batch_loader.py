"""BatchLoader: endless, reproducible batches of the training data, from any position.

A window of pairs is read, segmented and planned while the one before is trained on, so the memory
does not depend on how many pairs there are. Which pairs a batch has, and what is drawn for each of
them, depends on the data, the seed and the position only. Several processes share the work, and
each holds the pairs that it computes: see `training.data.planned_window`.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.text.tokenizer import EOS_ID, UNK_ID
from model.text.vocabulary import Vocabulary, text_tokenizer
from training.data.batching import Ids, Rows, plan_epoch
from training.data.counter_rng import Keys, chosen, line_keys
from training.data.indexed_corpus import IndexedCorpus, Pairs, Side
from training.data.joining import Groups, draw_groups, singles
from training.data.length_buckets import LengthBuckets
from training.data.noise import disturbed
from training.data.planned_window import PlannedWindow, plan_window
from training.data.position import Position
from training.data.sampler import Run, epoch_counts, num_windows, window_runs
from training.data.subword_sampler import SubwordSampler
from training.system.distributed import ALONE, World

# What the numbers of a line are drawn for: its segmentations and its hidden words, of each side,
# whether it has a length piece, which pairs it is joined with, and how its source is disturbed.
_SEGMENTS, _HIDDEN, _LENGTHS, _JOINED, _NOISE = (0, 1), (2, 3), 4, 5, 6


class Origins(NamedTuple):
    """Where the P pairs of a batch come from, in its order; a joined line has several."""

    corpora: NDArray[np.int64]  # (P,) numbers of the corpora
    rows: NDArray[np.int64]  # (P,) of the cached corpus: pairs that were left out do not count
    places: NDArray[np.int64]  # (P,) of the lines in the batch


class Taken(NamedTuple):
    """What a window takes of a corpus."""

    corpus: int
    """Its number."""
    runs: list[Run]
    groups: Groups
    """Which of the pairs of the runs are joined."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows (N,) of the pairs in the corpus."""
        return np.concatenate([np.arange(run.start, run.stop) for run in self.runs])


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
        world: World = ALONE,
    ) -> None:
        """With `lengths`, sources begin with length pieces."""
        self.world = world
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

        Of each, this process has its own part (`Rows.part`) and the figures of the whole. While a
        window is trained on, a thread prepares the next one: a GPU would wait for it.
        """
        epoch, window, done = self.position
        with ThreadPoolExecutor(1, "next window") as thread:
            coming = thread.submit(self.planned, epoch, window)
            while True:
                planned = coming.result()
                last = window + 1 == num_windows(self.counts)
                following = Position(epoch + 1) if last else Position(epoch, window + 1)
                coming = thread.submit(self.planned, following.epoch, following.window)
                for number, places in enumerate(planned.batches[done:], done + 1):
                    self.position = Position(epoch, window, number)
                    self.drawn = places
                    yield planned.batch(places)
                self.position = following
                epoch, window, done = following

    @cached_property
    def line_sizes(self) -> NDArray[np.int64]:
        """How many pairs each line of the first window has, a fair sample of all."""
        if not self.settings.joined:  # nothing needs to be read
            return np.ones(1, np.int64)
        return np.concatenate([taken.groups.sizes for taken in self._taken(0, 0)])

    def origins(self) -> Origins:
        """Find where the pairs of the batch come from that was drawn last."""
        epoch, window, _ = self.position
        parts: list[tuple[int, NDArray[np.int64]]] = []
        for taken in self._taken(epoch, window):
            groups = taken.groups
            lines = np.split(taken.rows[groups.order], groups.starts[1:])
            parts += [(taken.corpus, line) for line in lines]
        drawn = [parts[place] for place in self.drawn.tolist()]
        sizes = [len(line) for _, line in drawn]
        return Origins(
            np.repeat([number for number, _ in drawn], sizes),
            np.concatenate([line for _, line in drawn]),
            np.repeat(np.arange(len(drawn)), sizes),
        )

    def drawn_batch(self) -> Rows:
        """Read all pairs of the batch that was drawn last, whichever process computes them."""
        epoch, window, _ = self.position
        return self.window(epoch, window).only(self.drawn)

    def planned(self, epoch: int, window: int) -> PlannedWindow:
        """Read this process's share of a window, and group the pairs of all in batches."""
        taken = self._taken(epoch, window)
        return plan_window(
            self._read_share(taken, self.world.rank, self.world.size),
            [len(one.groups.sizes) for one in taken],
            partial(
                plan_epoch,
                batch_tokens=self.settings.batch_tokens,
                generator=np.random.default_rng([self.settings.seed, epoch, window]),
            ),
            hidden=self.settings.word_dropout > 0,
            world=self.world,
        )

    def window(self, epoch: int, window: int) -> Rows:
        """Read all pairs of a window, in any order."""
        return self._read_share(self._taken(epoch, window), 0, 1)

    def _taken(self, epoch: int, window: int) -> list[Taken]:
        """List what a window takes from each corpus, but for those of which it takes nothing."""
        found = window_runs(
            self.sizes, self.counts, epoch=epoch, window=window, seed=self.settings.seed
        )
        return [
            Taken(number, runs, self._groups(number, runs))
            for number, runs in enumerate(found)
            if runs
        ]

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

    def _groups(self, number: int, runs: Sequence[Run]) -> Groups:
        """Draw which of the pairs of these runs are joined, by their ordinary pieces."""
        if not self.settings.joined:  # nothing needs to be read
            return singles(sum(run.stop - run.start for run in runs))
        cached = self.corpora[number].cached
        lengths = [cached.lengths_of(run.start, run.stop) for run in runs]
        source, target = map(np.concatenate, zip(*lengths, strict=True))
        keys = self._keys(number, runs, _JOINED)
        return draw_groups(keys, self.settings.joined, source, target, most=self._most(number))

    def _read_share(self, taken: Sequence[Taken], number: int, count: int) -> Rows:
        """Read share `number` of `count` of what is taken of each corpus; see `Groups.share`."""
        parts = [
            self._read(one, held, groups)
            for one in taken
            for held, groups in [one.groups.share(number, count)]
            if held.any()
        ]
        return Rows(
            [ids for part in parts for ids in part.sources],
            [ids for part in parts for ids in part.targets],
            np.concatenate([np.zeros(0, np.float32), *(part.weights for part in parts)]),
            [ids for part in parts for ids in part.inputs],
        )

    def _read(self, taken: Taken, held: NDArray[np.bool_], groups: Groups) -> Rows:
        """Read the pairs that are `held` of those taken: segmented, with words hidden, joined.

        Args:
            groups: the lines, of these pairs alone.
        """
        number, tag = taken.corpus, self.corpora[taken.corpus].tag
        pairs = _held_pairs(self.corpora[number].cached, taken.runs, held)

        def keys(use: int) -> Keys:
            return self._keys(number, taken.runs, use)[held]

        sources, targets = self._segmented(keys, pairs, groups, self._most(number))
        inputs = targets
        if self.settings.word_dropout:
            sources = self._hidden(sources, keys(_HIDDEN[0]))
            inputs = self._hidden(targets, keys(_HIDDEN[1]))
        sources, targets, inputs = map(groups.join, (sources, targets, inputs))
        if tag:
            before = np.array(tag, np.int32)
            sources = [np.concatenate([before, ids]) for ids in sources]
        if self.lengths:
            ordinary = Side.joined(groups.join(pairs.target.split()))
            first = groups.order[groups.starts]
            sources = self.lengths.placed(sources, ordinary, keys(_LENGTHS)[first])
        weights = groups.mean_weights(pairs.weights, pairs.target.lengths)
        return Rows(sources, targets, weights, inputs)

    def _segmented(
        self,
        keys: Callable[[int], Keys],
        pairs: Pairs,
        groups: Groups,
        most: tuple[int, int],
    ) -> tuple[list[Ids], list[Ids]]:
        """Disturb sources and segment both sides anew, but not in lines that become too long."""
        sources, targets = pairs.source.split(), pairs.target.split()
        if not self.sampler and not self.settings.noise:
            return sources, targets
        source, target = pairs.source, pairs.target
        if self.settings.noise:
            source = disturbed(
                source,
                keys(_NOISE),
                text_tokenizer(self.tokenizer),
                share=self.settings.noise,
                language=self.settings.source_language,
            )
        if self.sampler:
            source, target = (
                self.sampler.sample(side, keys(use))
                for side, use in zip((source, target), _SEGMENTS, strict=True)
            )
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


def _held_pairs(cached: IndexedCorpus, runs: Sequence[Run], held: NDArray[np.bool_]) -> Pairs:
    """Read the pairs of these runs that are `held` (N,), at least one, as they are stored."""
    parts: list[Pairs] = []
    done = 0
    for run in runs:
        wanted = held[done : done + run.stop - run.start]
        done += len(wanted)
        if wanted.any():
            parts.append(cached.read(run.start, run.stop).only(wanted))
    return join_pairs(parts)


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
