"""Loss window: means over all target pieces since the last line."""

import math
from pathlib import Path

import pytest

from training.loop.loss_window import LossWindow
from training.tracking.metrics_log import Line, read_metrics
from training.train import main


def test_means_are_over_pieces_not_over_updates() -> None:
    window = LossWindow(2)
    window.add(1, loss=100.0, nll=100.0, target_weight=100.0)
    window.add(2, loss=3.0, nll=2.0, target_weight=1.0)
    window.add(3, loss=5.0, nll=4.0, target_weight=10.0)
    window.add(4, loss=2.0, nll=1.0, target_weight=30.0)

    assert window.means == pytest.approx(((50 + 60) / 40, (40 + 30) / 40))


def test_updates_that_were_skipped_do_not_count() -> None:
    window = LossWindow(3)
    assert all(map(math.isnan, window.means))
    window.add(1, loss=math.nan, nll=1.0, target_weight=5.0)
    window.add(2, loss=2.0, nll=1.5, target_weight=5.0)
    window.add(3, loss=math.inf, nll=math.inf, target_weight=5.0)

    assert window.means == (2.0, 1.5)


RHYTHM = ("run.log_every=2", "optimizer.schedule=inverse_sqrt")


def trained(config: Path, run: Path, *overrides: str) -> list[Line]:
    """The lines of the updates of a run of six."""
    assert main([str(config), "--output", str(run), "run.eval_every=3", *overrides]) == 0
    return [line for line in read_metrics(run / "metrics.jsonl") if "mean_nll" in line]


def test_a_run_logs_the_means_of_what_single_updates_had_also_when_resumed(
    tiny_config: Path, tmp_path: Path
) -> None:
    """Resumed in the middle of a window: after update 3, with a line every 2."""
    single = trained(tiny_config, tmp_path / "single", "run.max_steps=6", "run.log_every=1")
    assert all(line["mean_nll"] == pytest.approx(line["nll"]) for line in single)
    trained(tiny_config, tmp_path / "parts", "run.max_steps=3", *RHYTHM)
    parts = trained(tiny_config, tmp_path / "parts", "run.max_steps=6", "--resume", *RHYTHM)
    whole = trained(tiny_config, tmp_path / "whole", "run.max_steps=6", *RHYTHM)

    for name in ("mean_loss", "mean_nll"):
        assert [line[name] for line in parts] == [line[name] for line in whole]
    for line in whole:
        assert line["mean_nll"] != line["nll"]
