"""The record of a run: its starts, its corpora and its last samples, through resumptions."""

import json
import math
import time
from pathlib import Path

import pytest

from model.errors import CheckpointError, DataError
from training.data.corpus_report import CorpusReport
from training.tracking.run_record import (
    MOST_SPIKES,
    PairRow,
    SampleRow,
    SpikeRow,
    corpus_row,
    read_record,
    record_samples,
    record_saved,
    record_spike,
    record_start,
    stands_out,
)

REPORT = CorpusReport(
    lines=100,
    dropped={"blank": 3},
    examples={"blank": []},
    source_pieces=12.5,
    target_pieces=11.0,
)
SAMPLE = SampleRow(source="größer", reference="larger", translation="bigger")


def start(run: Path, step: int, device: str = "cpu") -> None:
    row = corpus_row("train", REPORT)
    record_start(run, step, corpora=[row], facts={"device": device}, git={"git commit": "1234"})


def test_a_corpus_has_its_counts_and_only_reasons_that_there_were() -> None:
    assert corpus_row("train", REPORT) == {
        "name": "train",
        "lines": 100,
        "kept": 97,
        "dropped": {"blank": 3},
        "source_pieces": 12.5,
        "target_pieces": 11.0,
    }


def test_a_resumed_run_has_all_its_starts_and_keeps_its_samples(tmp_path: Path) -> None:
    before = time.time()
    start(tmp_path, 0, "cpu")
    record_samples(tmp_path, 5, [SAMPLE, SAMPLE])
    record_samples(tmp_path, 10, [SAMPLE])
    start(tmp_path, 10, "cuda:0")

    record = read_record(tmp_path)
    assert [(v["step"], v["facts"]["device"]) for v in record["visits"]] == [
        (0, "cpu"),
        (10, "cuda:0"),
    ]
    assert before <= record["visits"][0]["time"] <= record["visits"][1]["time"] <= time.time()
    assert record["visits"][1]["git"] == {"git commit": "1234"}
    assert [row["name"] for row in record["corpora"]] == ["train"]
    assert (record["sample_step"], record["samples"]) == (10, [SAMPLE])


def test_a_run_that_begins_anew_has_a_new_record(tmp_path: Path) -> None:
    start(tmp_path, 0)
    record_samples(tmp_path, 5, [SAMPLE])
    start(tmp_path, 0)

    record = read_record(tmp_path)
    assert len(record["visits"]) == 1
    assert record["samples"] == []


def test_a_run_of_an_older_version_can_be_resumed(tmp_path: Path) -> None:
    start(tmp_path, 7)

    assert [visit["step"] for visit in read_record(tmp_path)["visits"]] == [7]


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"visits": []}'])
def test_a_damaged_record_is_named(tmp_path: Path, damage: str) -> None:
    (tmp_path / "record.json").write_text(damage, encoding="utf-8")

    with pytest.raises(CheckpointError, match=r"record\.json: damaged\. Remove it"):
        read_record(tmp_path)


def test_a_record_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"record\.json: cannot be written"):
        start(tmp_path / "gone", 0)


def spike(step: int, excess: float | None) -> SpikeRow:
    pair = PairRow(
        corpus="train", number=1, source="a", target="b", source_pieces=1, target_pieces=1, nll=2.0
    )
    return SpikeRow(
        step=step,
        kind="loss",
        nll=9.0,
        gradient_norm=1.0,
        usual=2.0,
        excess=excess,
        target_pieces=9,
        pairs={"train": [1]},
        hardest=pair,
        longest=pair,
    )


def test_the_spikes_that_stand_out_most_are_kept(tmp_path: Path) -> None:
    for step in range(1, MOST_SPIKES + 1):
        record_spike(tmp_path, spike(step, None if step == 3 else 10.0 + step))
    full = read_record(tmp_path)
    assert len(full["spikes"]) == MOST_SPIKES
    assert not stands_out(full, 11.0) and stands_out(full, 11.1)
    assert stands_out(full, math.inf)

    record_spike(tmp_path, spike(99, 1000.0))
    steps = [row["step"] for row in read_record(tmp_path)["spikes"]]
    assert steps == [*range(2, MOST_SPIKES + 1), 99]


def test_spikes_after_the_step_that_is_resumed_from_are_dropped(tmp_path: Path) -> None:
    for step in (4, 5):
        record_spike(tmp_path, spike(step, 9.0))
    record_start(tmp_path, 4, corpora=[], facts={}, git={})

    assert [row["step"] for row in read_record(tmp_path)["spikes"]] == [4]
    record_start(tmp_path, 0, corpora=[], facts={}, git={})
    assert read_record(tmp_path)["spikes"] == []


def test_a_save_belongs_to_its_visit(tmp_path: Path) -> None:
    record_start(tmp_path, 0, corpora=[], facts={}, git={})
    record_saved(tmp_path, 4)
    record_start(tmp_path, 4, corpora=[], facts={}, git={})
    first, second = read_record(tmp_path)["visits"]

    assert first["saved"]["step"] == 4
    assert first["time"] <= first["saved"]["time"] <= second["time"]
    assert "saved" not in second


def test_records_of_older_runs_have_no_spikes(tmp_path: Path) -> None:
    record_start(tmp_path, 0, corpora=[], facts={}, git={})
    path = tmp_path / "record.json"
    older = json.loads(path.read_bytes())
    del older["spikes"]
    path.write_text(json.dumps(older), encoding="utf-8")

    assert read_record(tmp_path)["spikes"] == []
