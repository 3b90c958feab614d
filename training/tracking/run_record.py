"""RUN/record.json: the content of the report besides the numbers of metrics.jsonl."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import time
from typing import TypedDict, cast

from model.errors import CheckpointError
from model.io.lines import atomic_output
from training.data.corpus_report import CorpusReport

NAME = "record.json"


class Visit(TypedDict):
    """One start or resumption of a run."""

    time: float
    """Seconds since 1970."""
    step: int
    """Update after which it began."""
    facts: dict[str, str]
    """Model, versions, machine."""
    git: dict[str, str]


class CorpusRow(TypedDict):
    """Size of a corpus, and the pairs that were dropped."""

    name: str
    lines: int
    kept: int
    dropped: dict[str, int]
    """Lines left out for each reason."""
    source_pieces: float
    target_pieces: float


class SampleRow(TypedDict):
    """A dev sentence of the last validation."""

    source: str
    reference: str
    translation: str


class RunRecord(TypedDict):
    """The content of record.json."""

    visits: list[Visit]
    corpora: list[CorpusRow]
    sample_step: int
    samples: list[SampleRow]


def read_record(run: Path) -> RunRecord:
    """Read the record of `run`; an empty one if there is none.

    Raises:
        CheckpointError: it is damaged.
    """
    path = run / NAME
    if not path.exists():
        return RunRecord(visits=[], corpora=[], sample_step=0, samples=[])
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        found = None
    if not isinstance(found, dict) or set(found) != set(RunRecord.__annotations__):
        raise CheckpointError(f"{path}: damaged. Remove it: only the report needs it.")
    return cast(RunRecord, found)


def corpus_row(name: str, report: CorpusReport) -> CorpusRow:
    """Make the row of a corpus."""
    return CorpusRow(
        name=name,
        lines=report.lines,
        kept=report.kept,
        dropped=report.dropped,
        source_pieces=report.source_pieces,
        target_pieces=report.target_pieces,
    )


def record_start(
    run: Path,
    step: int,
    *,
    corpora: Sequence[CorpusRow],
    facts: Mapping[str, str],
    git: Mapping[str, str],
) -> None:
    """Record that `run` starts or resumes after `step`; after step 0 the record is new.

    Raises:
        CheckpointError: the record is damaged.
        DataError: the file system refused.
    """
    record = (
        read_record(run) if step else RunRecord(visits=[], corpora=[], sample_step=0, samples=[])
    )
    record["visits"].append(Visit(time=time(), step=step, facts=dict(facts), git=dict(git)))
    record["corpora"] = list(corpora)
    _write(run, record)


def record_samples(run: Path, step: int, samples: Sequence[SampleRow]) -> None:
    """Replace the samples by those of a validation.

    Raises:
        CheckpointError: the record is damaged.
        DataError: the file system refused.
    """
    record = read_record(run)
    record["sample_step"], record["samples"] = step, list(samples)
    _write(run, record)


def _write(run: Path, record: RunRecord) -> None:
    with atomic_output(run / NAME) as file:
        file.write(json.dumps(record, ensure_ascii=False, indent=1).encode())
