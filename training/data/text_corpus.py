"""Text corpus: pairs in memory as text and ids, for a dev set or a sample."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from model.errors import DataError
from model.io.lines import read_lines
from model.text.normalization import normalize_source
from model.text.tokenizer import UNK_ID
from model.text.vocabulary import Vocabulary
from training.config.data_config import CorpusConfig, DataConfig
from training.data.batching import Ids
from training.data.corpus_report import UNKNOWN_SYMBOLS, CorpusReport
from training.data.parsing import NotText, Pair
from training.data.readers import corpus_chunks, count_aligned, count_pairs


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPairs:
    """Aligned lines: source i belongs to target i."""

    sources: list[str]
    targets: list[str]
    not_text: int = 0  # further pairs, which the filter of the encoding has left out


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """Kept pairs as text and as ids, in file order."""

    pairs: TextPairs
    sources: list[Ids]
    targets: list[Ids]
    report: CorpusReport

    def first(self, count: int) -> "Corpus":
        """Take the first `count` pairs; the report stays that of all."""
        return replace(
            self,
            pairs=TextPairs(sources=self.pairs.sources[:count], targets=self.pairs.targets[:count]),
            sources=self.sources[:count],
            targets=self.targets[:count],
        )


def read_pairs(corpus: CorpusConfig, data: DataConfig) -> TextPairs:
    """Read all pairs of a corpus, its tag before each source.

    Raises:
        DataError: a file is missing, empty, damaged or not UTF-8, has no such column, or has not as
            many lines as its counterpart (both are named).
    """
    count_pairs(corpus, data)
    pairs = TextPairs(sources=[], targets=[])
    not_text = 0
    prefix = f"{corpus.tag} " if corpus.tag else ""
    for pair in _pairs(corpus, data, itertools.repeat(True)):
        if pair is None:
            not_text += 1
            continue
        pairs.sources.append(prefix + pair.source)
        pairs.targets.append(pair.target)
    return replace(pairs, not_text=not_text)


def digest_of(pairs: TextPairs) -> str:
    """Compute SHA-256 of all pairs."""
    lines = "\n".join([*pairs.sources, *pairs.targets])
    return hashlib.sha256(lines.encode()).hexdigest()


def sample_pairs(corpora: Sequence[CorpusConfig], data: DataConfig, *, most: int) -> TextPairs:
    """Sample at most `most` evenly spaced pairs of all corpora, in bounded memory.

    Sources are normalised, as those of the training are.

    Raises:
        DataError: see `read_pairs`.
    """
    total = sum(count_pairs(corpus, data) for corpus in corpora)
    kept = min(total, most)
    numbers = itertools.count()
    pairs = TextPairs(sources=[], targets=[])
    for corpus in corpora:
        # Of a large corpus few records are wanted, so the others are not even parsed.
        wanted = ((number + 1) * kept // total > number * kept // total for number in numbers)
        for pair in filter(None, _pairs(corpus, data, wanted)):
            pairs.sources.append(normalize_source(pair.source))
            pairs.targets.append(pair.target)
    return pairs


def aligned_lines(source: Path, target: Path) -> TextPairs:
    """Read the lines of two files.

    Raises:
        DataError: a file is missing, empty or not UTF-8; the line counts differ (both are named).
    """
    count_aligned([source, target])
    return TextPairs(sources=list(read_lines(source)), targets=list(read_lines(target)))


def hold_out(pairs: TextPairs) -> tuple[TextPairs, TextPairs]:
    """Split off every fiftieth pair, at most a thousand, evenly spaced; they are returned last."""
    total = len(pairs.sources)
    count = max(1, min(total // 50, 1000))
    held = {number * total // count for number in range(count)}
    most, few = TextPairs(sources=[], targets=[]), TextPairs(sources=[], targets=[])
    for row, (source, target) in enumerate(zip(pairs.sources, pairs.targets, strict=True)):
        part = few if row in held else most
        part.sources.append(source)
        part.targets.append(target)
    return most, few


def encode_corpus(
    pairs: TextPairs,
    tokenizer: Vocabulary,
    *,
    max_length: int | None,
    normalization: int | None = None,
) -> Corpus:
    """Encode every pair whose sides are not blank and have at most `max_length` pieces.

    Without `max_length` nothing is left out: scores on a dev set are those of all its lines, but
    for those with symbols that a closed alphabet lacks. The ids of sources are those of the
    normalised text; `Corpus.pairs` has it as it was.

    Args:
        normalization: the rules for sources; those of a new model if None.

    Raises:
        DataError: nothing is left.
    """
    kept = TextPairs(sources=[], targets=[])
    sources: list[Ids] = []
    targets: list[Ids] = []
    blank = too_long = unknown = 0
    rules = tokenizer.normalization if normalization is None else normalization
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        if max_length and not (source.strip() and target.strip()):
            blank += 1
            continue
        src = _ids(tokenizer.source.encode(normalize_source(source, rules)))
        tgt = _ids(tokenizer.target.encode(target))
        if max_length and max(len(src), len(tgt)) > max_length:
            too_long += 1
            continue
        if tokenizer.closed and (UNK_ID in src or UNK_ID in tgt):
            unknown += 1
            continue
        kept.sources.append(source)
        kept.targets.append(target)
        sources.append(src)
        targets.append(tgt)
    reasons = {
        "not text": pairs.not_text,
        "blank": blank,
        "too long": too_long,
        UNKNOWN_SYMBOLS: unknown,
    }
    lines = len(pairs.sources) + pairs.not_text
    if not sources:
        raise DataError(_none_left(lines, reasons, max_length))
    report = CorpusReport(
        lines=lines,
        dropped={reason: count for reason, count in reasons.items() if count},
        examples={},
        source_pieces=float(lengths(sources).mean()),
        target_pieces=float(lengths(targets).mean()),
    )
    return Corpus(pairs=kept, sources=sources, targets=targets, report=report)


def _none_left(lines: int, reasons: Mapping[str, int], max_length: int | None) -> str:
    """The message that all pairs were left out, how many for each reason, and what to do."""
    long = f"with more than {max_length} pieces"
    words = [
        f"{count} {long if reason == 'too long' else reason}"
        for reason, count in reasons.items()
        if count
    ]
    mend = "Raise model.max_length or check" if reasons["too long"] else "Check"
    return f"none of {lines} pairs is left: {', '.join(words)}. {mend} the files."


def lengths(sentences: Sequence[Ids]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Count the pieces of each sentence."""
    return np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))


def all_lines(pairs: TextPairs) -> Iterator[str]:
    """Both sides, source first: what a shared vocabulary is learned from."""
    return itertools.chain(pairs.sources, pairs.targets)


def all_pairs(corpora: Sequence[CorpusConfig], data: DataConfig) -> Iterator[Pair]:
    """Yield every pair of all corpora as it is written, in bounded memory.

    Raises:
        DataError: see `read_pairs`.
    """
    for corpus in corpora:
        yield from filter(None, _pairs(corpus, data, itertools.repeat(True)))


def _pairs(corpus: CorpusConfig, data: DataConfig, wanted: Iterator[bool]) -> Iterator[Pair | None]:
    """The pairs of the wanted records, None for those that the filter of the encoding drops."""
    for chunk in corpus_chunks(corpus, data):
        for number, raw in itertools.compress(enumerate(chunk.raws, chunk.first), wanted):
            try:
                yield chunk.parse(number, raw)
            except NotText:
                if not data.filters.encoding:
                    raise
                yield None


def _ids(ids: list[int]) -> Ids:
    return np.array(ids, dtype=np.int32)
