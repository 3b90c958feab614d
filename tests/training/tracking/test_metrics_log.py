"""Metrics: the file of a killed and resumed run reads as one run, and TensorBoard agrees."""

import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

from model.errors import CheckpointError
from training.tracking.metrics_log import MetricsLog, read_metrics, series

ROOT = Path(__file__).parents[3]


def log_losses(run: Path, losses: dict[int, float], *, resume_step: int | None = None) -> None:
    with MetricsLog(run, resume_step=resume_step) as log:
        for step, loss in losses.items():
            log.log(step, {"loss": loss})


def losses(run: Path) -> list[tuple[object, object]]:
    return [(line["step"], line["loss"]) for line in read_metrics(run / "metrics.jsonl")]


def tensorboard(run: Path, tag: str) -> list[tuple[int, float]]:
    """What TensorBoard itself shows."""
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return [(scalar.step, scalar.value) for scalar in events.Scalars(tag)]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Inside, files cannot grow beyond `size` bytes: like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_each_report_is_one_line_at_once(tmp_path: Path) -> None:
    before = round(time.time(), 3)
    with MetricsLog(tmp_path, resume_step=None) as log:
        log.log(50, {"loss": 4.25, "learning_rate": 1e-3})
        log.log(100, {"dev_bleu": 12.5, "bleu_signature": "nrefs:1|tok:13a", "größe": 1})
        text = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")

    lines = [json.loads(line) for line in text.splitlines()]
    assert all(before <= line.pop("time") <= round(time.time(), 3) for line in lines)
    assert lines == [
        {"step": 50, "loss": 4.25, "learning_rate": 0.001},
        {"step": 100, "dev_bleu": 12.5, "bleu_signature": "nrefs:1|tok:13a", "größe": 1},
    ]


def test_tensorboard_has_the_numbers_at_once_by_train_and_dev(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, resume_step=None) as log:
        log.log(50, {"loss": 4.25})
        log.log(100, {"dev_bleu": 12.5, "bleu_signature": "nrefs:1|tok:13a"})

        assert tensorboard(tmp_path, "train/loss") == [(50, 4.25)]
        assert tensorboard(tmp_path, "dev/bleu") == [(100, 12.5)]


def test_tensorboard_has_samples_as_they_were_written(tmp_path: Path) -> None:
    picture = np.zeros((4, 6, 3), dtype=np.uint8)
    with MetricsLog(tmp_path, resume_step=None) as log:
        log.show(50, 1, "source: *a*\noutput: <b>", picture)
        log.show(50, 2, "blank", None)
        log.show(60, 1, "later", picture)

        events = EventAccumulator(str(tmp_path / "tensorboard"))
        events.Reload()
        images = [(i.step, i.width, i.height) for i in events.Images("attention/1")]
        texts = events.Tensors("samples/1/text_summary")
    assert images == [(50, 6, 4), (60, 6, 4)]
    assert events.Tags()["images"] == ["attention/1"]
    assert [text.step for text in texts] == [50, 60]
    quoted = texts[0].tensor_proto.string_val[0].decode()
    assert quoted == "    source: *a*\n    output: <b>"  # which Markdown shows as it is


def test_a_resumed_run_reads_as_one_run(tmp_path: Path) -> None:
    log_losses(tmp_path, {1: 4.0, 2: 3.5, 3: 3.25, 4: 9.0})
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write('{"step": 5, "größe'.encode()[:-2])  # kill -9 half-way, within a character
    assert losses(tmp_path) == [(1, 4.0), (2, 3.5), (3, 3.25), (4, 9.0)]

    log_losses(tmp_path, {3: 3.0, 4: 2.5}, resume_step=2)

    assert losses(tmp_path) == [(1, 4.0), (2, 3.5), (3, 3.0), (4, 2.5)]
    assert tensorboard(tmp_path, "train/loss") == [(1, 4.0), (2, 3.5), (3, 3.0), (4, 2.5)]


def test_resuming_changes_nothing_of_the_lines_that_stay(tmp_path: Path) -> None:
    log_losses(tmp_path, {1: 1 / 3, 2: math.nan})
    before = (tmp_path / "metrics.jsonl").read_bytes()

    log_losses(tmp_path, {}, resume_step=2)

    assert (tmp_path / "metrics.jsonl").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["metrics.jsonl"]


def test_a_new_start_hides_what_a_killed_one_left(tmp_path: Path) -> None:
    log_losses(tmp_path, {1: 4.0, 2: 3.5})

    log_losses(tmp_path, {1: 5.0})

    assert losses(tmp_path) == [(1, 5.0)]
    assert tensorboard(tmp_path, "train/loss") == [(1, 5.0)]


def test_a_run_without_its_file_can_be_resumed(tmp_path: Path) -> None:
    log_losses(tmp_path, {3: 3.0}, resume_step=2)

    assert losses(tmp_path) == [(3, 3.0)]


def test_numbers_that_json_does_not_know_become_null(tmp_path: Path) -> None:
    log_losses(tmp_path, {1: math.nan, 2: math.inf, 3: 1.5})

    assert losses(tmp_path) == [(1, None), (2, None), (3, 1.5)]
    assert series(read_metrics(tmp_path / "metrics.jsonl"), "loss") == ([3], [1.5])


def test_a_series_is_made_of_the_lines_that_have_the_number(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, resume_step=None) as log:
        log.log(1, {"loss": 4.0})
        log.log(1, {"dev_bleu": 12.5, "note": "text"})
        log.log(2, {"loss": 3.0})
    lines = read_metrics(tmp_path / "metrics.jsonl")

    assert series(lines, "loss") == ([1, 2], [4.0, 3.0])
    assert series(lines, "note") == ([], [])


@pytest.mark.parametrize("damage", [b"{", b"[]", b"{}", b'{"step": "1"}', b"\xff", b""])
def test_a_damaged_line_is_named(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + damage + b'\n{"step": 3}\n')

    message = r"metrics\.jsonl, line 2: not a JSON object with a step\. Remove the line"
    with pytest.raises(CheckpointError, match=message):
        MetricsLog(tmp_path, resume_step=3)


def test_a_full_disk_is_reported_and_the_run_can_be_resumed(tmp_path: Path) -> None:
    full = pytest.raises(CheckpointError, match="the metrics cannot be written: File too large")
    with full, MetricsLog(tmp_path, resume_step=None) as log:
        log.log(1, {"loss": 4.0})
        with file_size_limit((tmp_path / "metrics.jsonl").stat().st_size + 10):
            log.log(2, {"loss": 3.5})

    log_losses(tmp_path, {2: 3.5}, resume_step=1)

    assert losses(tmp_path) == [(1, 4.0), (2, 3.5)]


def test_a_disk_that_is_full_for_a_picture_is_reported_by_the_caller_alone(tmp_path: Path) -> None:
    """No thread says anything: that would be a warning, and so an error."""
    noise = np.random.default_rng(1).integers(0, 255, (90, 90, 3), dtype=np.uint8)
    full = pytest.raises(CheckpointError, match="the metrics cannot be written: File too large")
    with full, file_size_limit(5000), MetricsLog(tmp_path, resume_step=None) as log:
        log.log(1, {"loss": 4.0})
        log.show(1, 1, "ein Haus", noise)

    log_losses(tmp_path, {2: 3.5}, resume_step=1)

    assert tensorboard(tmp_path, "train/loss") == [(1, 4.0), (2, 3.5)]


def test_importing_what_logs_and_draws_imports_neither_tensorboard_nor_matplotlib() -> None:
    program = (
        "import sys, training.tracking.metrics_log, training.tracking.curves\n"
        "import model.drawing.attention_plot; print(*sys.modules)"
    )
    modules = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()

    assert "model.drawing.attention_plot" in modules
    assert not {"tensorboard", "matplotlib"} & set(modules)
