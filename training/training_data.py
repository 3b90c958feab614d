"""The training data of a run: its tokenizer, its cached corpora, and what is to be told of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.checkpoint import load_checkpoint
from model.errors import DataError
from model.text.tokenizer import Tokenizer
from training.batching import Ids
from training.cache import cached_corpus, tag_ids
from training.config import TrainConfig
from training.corpus import all_lines, sample_pairs
from training.corpus_report import CorpusReport, together
from training.data_config import CorpusConfig, DataConfig
from training.distributed import usable_cores
from training.order import BLOCK
from training.stream import PairStream, StreamSettings, TrainingCorpus
from training.vocabulary import learn_tokenizer

LEARNED_FROM = 1_000_000
"""Pairs that a tokenizer is learned from, at most, at even distances."""


def make_tokenizer(config: TrainConfig) -> Tokenizer:
    """The tokenizer that the config names, that of the model to begin with, or a learned one.

    Raises:
        DataError: the named file cannot be read.
        CheckpointError: it is no SentencePiece model, or there is no such model to begin with.
    """
    settings, corpora, begun_from = config.tokenizer, config.data.train, config.finetune.init_from
    if settings.model is None and begun_from is not None:
        return load_checkpoint(begun_from).tokenizer
    if settings.model is None:
        lines = all_lines(sample_pairs(corpora, config.data, most=LEARNED_FROM))
        tags = sorted({corpus.tag for corpus in (*corpora, config.data.dev) if corpus.tag})
        return Tokenizer(
            learn_tokenizer(lines, kind=settings.kind, vocab_size=settings.vocab_size, tags=tags)
        )
    path = config.data.path(settings.model)
    try:
        return Tokenizer(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: the tokenizer cannot be read ({error.strerror}).") from None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingData:
    """The corpora of a run, encoded."""

    corpora: list[TrainingCorpus]
    names: list[str]

    @property
    def reports(self) -> list[CorpusReport]:
        """On each corpus."""
        return [corpus.cached.report for corpus in self.corpora]

    @property
    def report(self) -> CorpusReport:
        """On all corpora together."""
        return together(self.reports)

    def digest(self) -> str:
        """SHA-256 of all pairs: whether a resumed run reads what it read before."""
        digests = [corpus.cached.digest for corpus in self.corpora]
        return hashlib.sha256(" ".join(digests).encode()).hexdigest()

    def describe(self) -> list[str]:
        """Lines for the log."""
        named = zip(self.reports, self.names, strict=True)
        return [report.describe(name) for report, name in named]


def load_training_data(data: DataConfig, tokenizer: Tokenizer, *, max_length: int) -> TrainingData:
    """The corpora of `data.train`, from the cache or newly encoded by all cores.

    Raises:
        DataError: see `cached_corpus` and `tag_ids`.
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
    return TrainingData(corpora=corpora, names=names)


def make_stream(config: TrainConfig, data: TrainingData, tokenizer: Tokenizer) -> PairStream:
    """The endless batches of a run."""
    settings = StreamSettings(
        batch_tokens=config.run.tokens,
        max_length=config.model.max_length,
        temperature=config.data.temperature,
        seed=config.run.seed,
        sampling=config.tokenizer.sampling,
        word_dropout=config.model.word_dropout,
    )
    return PairStream(data.corpora, tokenizer, settings)


def even_pairs(
    stream: PairStream, *, most_links: int, sampled: bool
) -> tuple[list[Ids], list[Ids]]:
    """Pairs at even distances of all corpora, about as many as have `most_links` links together.

    The sources are segmented as decoding does it, and the targets, if `sampled`, as the training
    does. What a link is: see `num_links`.
    """
    total, links = 0, 0
    for corpus in stream.corpora:
        for source, target in corpus.cached.lengths(1 << 16):
            total += len(source)
            links += int(((source + len(corpus.tag) + 1) * target).sum())
    kept = min(total, max(1, total * most_links // links))
    wanted = np.arange(kept) * total // kept
    sources: list[Ids] = []
    targets: list[Ids] = []
    first = 0
    for number, corpus in enumerate(stream.corpora):
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
            targets += stream.sampled(number, block, kept_targets) if sampled else kept_targets
    return sources, targets


def corpus_names(corpora: Sequence[CorpusConfig]) -> list[str]:
    """What to call each corpus of `data.train`."""
    if len(corpora) == 1:
        return ["train"]
    return [f"train[{number}]" for number in range(len(corpora))]
