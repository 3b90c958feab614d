"""The record of a run: its starts, its corpora and its last samples, through resumptions."""

import time
from pathlib import Path

import pytest

from model.errors import CheckpointError, DataError
from training.data.corpus_report import CorpusReport
from training.tracking.run_record import (
    SampleRow,
    corpus_row,
    read_record,
    record_samples,
    record_start,
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
