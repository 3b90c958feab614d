"""Corpus: aligned lines read, checked, turned into ids, and described in a report."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from model.errors import DataError
from model.text.lines import read_lines
from model.text.tokenizer import Tokenizer
from training.batching import Ids
from training.config import CorpusFiles, DataConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPairs:
    """Aligned lines: source i belongs to target i."""

    sources: list[str]
    targets: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusReport:
    """What was read and what was left out, for the person who starts the run."""

    lines: int
    kept: int
    blank: int
    too_long: int
    source_pieces: float  # mean pieces of a kept line
    target_pieces: float

    def describe(self, name: str) -> str:
        """One line for the log."""
        dropped = (
            f"dropped {self.blank} blank, {self.too_long} too long" if self.dropped else "all kept"
        )
        return (
            f"{name}: {self.lines:,} lines, {dropped}; "
            f"{self.source_pieces:.1f} source and {self.target_pieces:.1f} target pieces a line"
        )

    @property
    def dropped(self) -> int:
        """Lines left out, whatever the reason."""
        return self.lines - self.kept


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """Kept pairs as text and as ids, in file order."""

    pairs: TextPairs
    sources: list[Ids]
    targets: list[Ids]
    report: CorpusReport

    def first(self, count: int) -> "Corpus":
        """The first `count` pairs. The report stays that of the whole."""
        return replace(
            self,
            pairs=TextPairs(sources=self.pairs.sources[:count], targets=self.pairs.targets[:count]),
            sources=self.sources[:count],
            targets=self.targets[:count],
        )

    def digest(self) -> str:
        """SHA-256 of all ids: whether a resumed run reads what it read before."""
        digest = hashlib.sha256()
        for ids in itertools.chain(self.sources, self.targets):
            digest.update(ids.tobytes() + b"|")
        return digest.hexdigest()


def read_pairs(files: CorpusFiles, data: DataConfig) -> TextPairs:
    """The aligned lines of a corpus.

    Raises:
        DataError: a file is missing, empty or not UTF-8; the line counts differ (both are named);
            a TSV line has fewer than two columns.
    """
    if files.tsv is not None:
        path = data.path(files.tsv)
        pairs = TextPairs(sources=[], targets=[])
        for number, line in enumerate(read_lines(path), start=1):
            columns = line.split("\t")
            if len(columns) < 2:
                raise DataError(f"{path}, line {number}: no tab. Write source, a tab, target.")
            pairs.sources.append(columns[0])
            pairs.targets.append(columns[1])
        _refuse_empty(path, pairs.sources)
        return pairs
    assert files.source is not None and files.target is not None  # CorpusFiles saw to it
    return aligned_lines(data.path(files.source), data.path(files.target))


def aligned_lines(source: Path, target: Path) -> TextPairs:
    """The lines of two files.

    Raises:
        DataError: a file is missing, empty or not UTF-8; the line counts differ (both are named).
    """
    pairs = TextPairs(sources=list(read_lines(source)), targets=list(read_lines(target)))
    _refuse_empty(source, pairs.sources)
    _refuse_empty(target, pairs.targets)
    if len(pairs.sources) != len(pairs.targets):
        raise DataError(
            f"{source} has {len(pairs.sources)} lines and {target} has {len(pairs.targets)}. "
            "Line i of one must translate line i of the other: align the files."
        )
    return pairs


def hold_out(pairs: TextPairs) -> tuple[TextPairs, TextPairs]:
    """All but every fiftieth pair, and these, at even distances; of many pairs, a thousand."""
    total = len(pairs.sources)
    count = max(1, min(total // 50, 1000))
    held = {number * total // count for number in range(count)}
    most, few = TextPairs(sources=[], targets=[]), TextPairs(sources=[], targets=[])
    for row, (source, target) in enumerate(zip(pairs.sources, pairs.targets, strict=True)):
        part = few if row in held else most
        part.sources.append(source)
        part.targets.append(target)
    return most, few


def _refuse_empty(path: Path, lines: list[str]) -> None:
    if not lines:
        raise DataError(f"{path}: the file is empty. Give it one sentence a line.")


def encode_corpus(pairs: TextPairs, tokenizer: Tokenizer, *, max_length: int | None) -> Corpus:
    """Ids of every pair whose sides are not blank and have at most `max_length` pieces.

    Without `max_length` nothing is left out: scores on a dev set are those of all its lines.

    Raises:
        DataError: nothing is left.
    """
    kept = TextPairs(sources=[], targets=[])
    sources: list[Ids] = []
    targets: list[Ids] = []
    blank = too_long = 0
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        if max_length and not (source.strip() and target.strip()):
            blank += 1
            continue
        src, tgt = _ids(tokenizer.encode(source)), _ids(tokenizer.encode(target))
        if max_length and max(len(src), len(tgt)) > max_length:
            too_long += 1
            continue
        kept.sources.append(source)
        kept.targets.append(target)
        sources.append(src)
        targets.append(tgt)
    if not sources:
        raise DataError(
            f"none of {len(pairs.sources)} pairs is left: {blank} blank, {too_long} with more than "
            f"{max_length} pieces. Raise model.max_length or check the files."
        )
    report = CorpusReport(
        lines=len(pairs.sources),
        kept=len(sources),
        blank=blank,
        too_long=too_long,
        source_pieces=float(lengths(sources).mean()),
        target_pieces=float(lengths(targets).mean()),
    )
    return Corpus(pairs=kept, sources=sources, targets=targets, report=report)


def lengths(sentences: Sequence[Ids]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Pieces of each sentence."""
    return np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))


def all_lines(pairs: TextPairs) -> Iterator[str]:
    """Both sides, source first: what a shared vocabulary is learned from."""
    return itertools.chain(pairs.sources, pairs.targets)


def _ids(ids: list[int]) -> Ids:
    return np.array(ids, dtype=np.int32)
