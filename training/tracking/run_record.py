"""RUN/record.json: the content of the report besides the numbers of metrics.jsonl."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import time
from typing import NotRequired, TypedDict, cast

from model.errors import CheckpointError
from model.io.lines import atomic_output
from training.data.corpus_report import CorpusReport

NAME = "record.json"
MOST_SPIKES = 50
"""Spikes that are kept: those which stand out most."""


class Saved(TypedDict):
    """A checkpoint of a run."""

    step: int
    time: float
    """Seconds since 1970."""


class Visit(TypedDict):
    """One start or resumption of a run."""

    time: float
    """Seconds since 1970."""
    step: int
    """Update after which it began."""
    facts: dict[str, str]
    """Model, versions, machine."""
    git: dict[str, str]
    saved: NotRequired[Saved]
    """The last checkpoint; older records have none."""


class CorpusRow(TypedDict):
    """Size of a corpus, and the pairs that were dropped."""

    name: str
    lines: int
    kept: int
    dropped: dict[str, int]
    """Lines left out for each reason."""
    source_pieces: float
    target_pieces: float


class AttentionRow(TypedDict):
    """Attention of a translation: T target pieces, S source pieces."""

    source_pieces: list[str]
    target_pieces: list[str]
    weights: list[list[float]]
    """(T, S), rounded."""


class SampleRow(TypedDict):
    """A dev sentence of the last validation."""

    source: str
    reference: str
    translation: str
    attention: NotRequired[AttentionRow | None]
    """None if it was not kept; older records have none."""


class PairRow(TypedDict):
    """A training pair, or several that were joined."""

    corpus: str
    number: int
    """Among the pairs that are kept of the corpus, from 1; the first of those that were joined."""
    source: str
    target: str
    """Both cut to a snippet."""
    source_pieces: int
    target_pieces: int
    nll: float | None
    """Nats per target piece; None if not finite."""


class SpikeRow(TypedDict):
    """An update that stands out, and the batch it was computed on."""

    step: int
    kind: str
    """loss, gradient or not finite."""
    nll: float | None
    """Nats per target piece; None if not finite, as are the next."""
    gradient_norm: float | None
    usual: float | None
    """Median of the updates before: of the loss, or of the norm if `kind` is gradient."""
    excess: float | None
    """How many scaled MADs above that; None: infinitely many."""
    target_pieces: int
    pairs: dict[str, list[int]]
    """Numbers of the batch's pairs in each corpus; see `PairRow`."""
    hardest: PairRow
    """The one with the highest loss per target piece."""
    longest: PairRow


class RunRecord(TypedDict):
    """The content of record.json."""

    visits: list[Visit]
    corpora: list[CorpusRow]
    sample_step: int
    samples: list[SampleRow]
    spikes: list[SpikeRow]


def _empty() -> RunRecord:
    return RunRecord(visits=[], corpora=[], sample_step=0, samples=[], spikes=[])


def read_record(run: Path) -> RunRecord:
    """Read the record of `run`; an empty one if there is none.

    Raises:
        CheckpointError: it is damaged.
    """
    path = run / NAME
    if not path.exists():
        return _empty()
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        found = None
    if isinstance(found, dict):
        found.setdefault("spikes", [])  # older records have none
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
    record = read_record(run) if step else _empty()
    record["visits"].append(Visit(time=time(), step=step, facts=dict(facts), git=dict(git)))
    record["corpora"] = list(corpora)
    # As in metrics.jsonl: the updates after that step come again.
    record["spikes"] = [spike for spike in record["spikes"] if spike["step"] <= step]
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


def record_saved(run: Path, step: int) -> None:
    """Record that the checkpoint of `step` was saved just now.

    Raises:
        CheckpointError: the record is damaged.
        DataError: the file system refused.
    """
    record = read_record(run)
    for visit in record["visits"][-1:]:
        visit["saved"] = Saved(step=step, time=time())
    _write(run, record)


def stands_out(record: RunRecord, excess: float) -> bool:
    """Return whether a spike of this `excess` is one of the `MOST_SPIKES` to keep."""
    kept = [_excess(spike) for spike in record["spikes"]]
    return len(kept) < MOST_SPIKES or excess > min(kept)


def record_spike(run: Path, spike: SpikeRow) -> None:
    """Add a spike; the one that stands out least gives way if there are too many.

    Raises:
        CheckpointError: the record is damaged.
        DataError: the file system refused.
    """
    record = read_record(run)
    record["spikes"].append(spike)
    if len(record["spikes"]) > MOST_SPIKES:
        record["spikes"].remove(min(record["spikes"], key=_excess))
    _write(run, record)


def _excess(spike: SpikeRow) -> float:
    return math.inf if spike["excess"] is None else spike["excess"]


def _write(run: Path, record: RunRecord) -> None:
    with atomic_output(run / NAME) as file:
        file.write(json.dumps(record, ensure_ascii=False, indent=1).encode())
