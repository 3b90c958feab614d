"""Training set of a run: its encoded corpora and the reports on them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.text.vocabulary import Vocabulary, text_tokenizer
from training.config.data_config import CorpusConfig, DataConfig
from training.config.train_config import TrainConfig
from training.data.batch_loader import BatchLoader, LoaderSettings, TrainingCorpus
from training.data.batching import Ids
from training.data.corpus_cache import cached_corpus, tag_ids
from training.data.corpus_report import CorpusReport, together
from training.data.length_buckets import LengthBuckets, count_buckets
from training.data.sampler import BLOCK
from training.system.distributed import ALONE, World, usable_cores


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSet:
    """The corpora of a run, encoded."""

    corpora: list[TrainingCorpus]
    names: list[str]
    lengths: LengthBuckets | None = None
    """The length buckets, if the config asks for some."""

    @property
    def reports(self) -> list[CorpusReport]:
        """Report on each corpus."""
        return [corpus.cached.report for corpus in self.corpora]

    @property
    def report(self) -> CorpusReport:
        """Report on all corpora together."""
        return together(self.reports)

    def digest(self) -> str:
        """Compute SHA-256 of all pairs, to check that a resumed run reads the same."""
        digests = [corpus.cached.digest for corpus in self.corpora]
        return hashlib.sha256(" ".join(digests).encode()).hexdigest()

    def describe(self) -> list[str]:
        """Describe each corpus in a line of the log."""
        named = zip(self.reports, self.names, strict=True)
        lines = [report.describe(name) for report, name in named]
        if self.lengths:
            most = ", ".join(map(str, self.lengths.boundaries))
            lines.append(f"length buckets: targets of at most {most} words, and longer ones")
        return lines


def load_training_set(
    data: DataConfig, tokenizer: Vocabulary, *, max_length: int, world: World = ALONE
) -> TrainingSet:
    """Load the corpora of `data.train` from the cache, or encode them on all cores.

    With a cache that several processes share, one of them encodes.

    Raises:
        DataError: see `cached_corpus` and `tag_ids`.
        ConfigError: see `count_buckets`.
    """
    names = corpus_names(data.train)
    corpora = [
        TrainingCorpus(
            cached=cached_corpus(
                corpus,
                data,
                tokenizer,
                name=name,
                max_length=max_length,
                processes=usable_cores(),
            ),
            weight=corpus.weight,
            tag=tag_ids(corpus, tokenizer),
        )
        for corpus, name in zip(data.train, names, strict=True)
    ]
    lengths = None
    if data.length_buckets:
        cached = [corpus.cached for corpus in corpora]
        lengths = world.shared(
            lambda: count_buckets(cached, text_tokenizer(tokenizer), data.length_buckets)
        )
    return TrainingSet(corpora=corpora, names=names, lengths=lengths)


def make_loader(
    config: TrainConfig,
    data: TrainingSet,
    tokenizer: Vocabulary,
    world: World = ALONE,
) -> BatchLoader:
    """Make the loader of the endless batches of a run, of which each process has its part."""
    settings = LoaderSettings(
        batch_tokens=config.run.tokens,
        max_length=config.model.max_length,
        joined=config.data.joined,
        noise=config.data.noise,
        source_language=config.data.source_language,
        temperature=config.data.temperature,
        seed=config.run.seed,
        sampling=config.tokenizer.sampling,
        word_dropout=config.model.word_dropout,
    )
    return BatchLoader(data.corpora, tokenizer, settings, data.lengths, world)


def even_pairs(
    loader: BatchLoader, *, most_links: int, sampled: bool
) -> tuple[list[Ids], list[Ids]]:
    """Choose evenly spaced pairs of all corpora, with about `most_links` links in total.

    The sources are segmented as decoding does it, and the targets, if `sampled`, as the training
    does. What a link is: see `num_links`.
    """
    total, links = 0, 0
    for corpus in loader.corpora:
        for source, target in corpus.cached.lengths(1 << 16):
            total += len(source)
            links += int(((source + len(corpus.tag) + 1) * target).sum())
    kept = min(total, max(1, total * most_links // links))
    wanted = np.arange(kept) * total // kept
    sources: list[Ids] = []
    targets: list[Ids] = []
    first = 0
    for number, corpus in enumerate(loader.corpora):
        rows = wanted[(wanted >= first) & (wanted < first + len(corpus.cached))] - first
        first += len(corpus.cached)
        tag = np.array(corpus.tag, np.int32)
        for block in np.split(rows, np.flatnonzero(np.diff(rows // BLOCK)) + 1):
            if not len(block):
                continue
            start, stop = int(block[0]), int(block[-1]) + 1
            pairs = corpus.cached.read(start, stop).only(np.isin(np.arange(start, stop), block))
            sources += [np.concatenate([tag, ids]) for ids in pairs.source.split()]
            kept_targets = pairs.target.split()
            targets += loader.sampled(number, block, kept_targets) if sampled else kept_targets
    return sources, targets


def corpus_names(corpora: Sequence[CorpusConfig]) -> list[str]:
    """Name each corpus of `data.train`, for people."""
    if len(corpora) == 1:
        return ["train"]
    return [f"train[{number}]" for number in range(len(corpora))]
