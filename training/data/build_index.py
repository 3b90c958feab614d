"""Building an indexed corpus: read, encode on all cores, filter, write."""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from model.errors import DataError
from model.io.lines import sync_directory
from model.io.progress import line_progress
from model.text.vocabulary import Vocabulary
from training.config.data_config import CorpusConfig, DataConfig
from training.data.corpus_report import EXAMPLES, CorpusReport, tallied
from training.data.deduplicate import mark_repeated
from training.data.encode_records import DUPLICATE, EncodingRules, encode_chunk, example
from training.data.indexed_corpus import CorpusWriter, IndexedCorpus, write_meta
from training.data.process_pool import ordered_map
from training.data.readers import corpus_chunks, count_pairs

SMALL = 100_000
"""Records that this process encodes sooner than others could, which must start first."""

UNFINISHED = ".tmp"
"""Suffix of a folder that is being built."""

_BLOCK = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexJob:
    """A corpus to build."""

    corpus: CorpusConfig
    data: DataConfig
    tokenizer: Vocabulary
    rules: EncodingRules
    name: str
    """Name of the corpus, for people."""
    processes: int
    """Number of processes that encode a large corpus."""

    @property
    def dtype(self) -> DTypeLike:
        """Type of its ids on disk: the smallest that holds every one."""
        return np.uint16 if self.tokenizer.vocab_size <= 1 << 16 else np.int32

    def writer(self, folder: Path) -> CorpusWriter:
        """Open a writer for ids of this corpus."""
        return CorpusWriter(folder, self.dtype, weighted=bool(self.corpus.weight_column))


def unfinished(folder: Path) -> Path:
    """Folder in which `folder` is built."""
    return folder.with_name(folder.name + UNFINISHED)


def build(job: IndexJob, folder: Path) -> None:
    """Build the corpus; `folder` appears when it is complete, whatever happens.

    Raises:
        DataError: the corpus cannot be read, or nothing of it is left.
        OSError: the file system refused.
    """
    scratch = unfinished(folder)
    try:
        scratch.mkdir()
        content = scratch / "all"
        report = _encode(job, content, scratch / "hashes")
        if job.rules.filters.duplicates and report.kept:
            content, report = _without_duplicates(job, scratch, report)
        if not report.kept:
            raise DataError(
                f"{job.name}: none of {report.lines:,} pairs is left: {report.reasons()}. Mend the "
                "corpus, or raise model.max_length or data.filters."
            )
        write_meta(content, job.dtype, report)
        sync_directory(content)
        content.rename(folder)
        sync_directory(folder.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _encode(job: IndexJob, folder: Path, hashes: Path) -> CorpusReport:
    """Write the kept pairs to `folder`, and their hashes if duplicates matter."""
    total = count_pairs(job.corpus, job.data)
    parts = ordered_map(
        partial(encode_chunk, rules=job.rules),
        corpus_chunks(job.corpus, job.data),
        make=job.tokenizer.loader(),
        processes=job.processes if total > SMALL else 1,
    )
    lines = several = 0
    dropped: dict[str, int] = {}
    examples: dict[str, list[str]] = {}
    with (
        job.writer(folder) as writer,
        hashes.open("wb") as hashed,
        line_progress(f"dragoman-train: reading {job.name}", total) as advance,
    ):
        for part in parts:
            writer.append(part.pairs)
            hashed.write(part.hashes.tobytes())
            dropped, examples = tallied([(dropped, examples), (part.dropped, part.examples)])
            lines += part.lines
            several += part.several
            advance(part.lines)
        writer.sync()
    return _report(writer, lines, dropped, examples, several)


def _without_duplicates(
    job: IndexJob, scratch: Path, report: CorpusReport
) -> tuple[Path, CorpusReport]:
    """Copy the corpus without repeated pairs to another folder, if there are any."""
    every, distinct, marks = (scratch / name for name in ("all", "distinct", "marks"))
    repeated = mark_repeated(scratch / "hashes", marks, scratch)
    if not repeated:
        return every, report
    write_meta(every, job.dtype, report)
    corpus = IndexedCorpus(every)
    shown: list[str] = []
    source, target = job.tokenizer.source, job.tokenizer.target
    with job.writer(distinct) as writer, marks.open("rb") as marked:
        for pairs in corpus.blocks(_BLOCK):
            again = np.frombuffer(marked.read(len(pairs.weights)), np.uint8) == 1
            if len(shown) < EXAMPLES:
                few = pairs.only(again)
                texts = zip(few.source.split(), few.target.split(), strict=True)
                shown += [
                    example(source.decode(x.tolist()), target.decode(y.tolist())) for x, y in texts
                ]
            writer.append(pairs.only(~again))
        writer.sync()
    dropped = report.dropped | {DUPLICATE: repeated}
    examples = report.examples | {DUPLICATE: shown[:EXAMPLES]}
    # Repeated lines are taken to have several sentences as often as the others.
    several = round(report.several * writer.rows / report.kept)
    return distinct, _report(writer, report.lines, dropped, examples, several)


def _report(
    writer: CorpusWriter,
    lines: int,
    dropped: dict[str, int],
    examples: dict[str, list[str]],
    several: int,
) -> CorpusReport:
    rows = max(1, writer.rows)
    return CorpusReport(
        lines=lines,
        dropped=dropped,
        examples=examples,
        source_pieces=writer.pieces["source"] / rows,
        target_pieces=writer.pieces["target"] / rows,
        several=several,
    )
