"""`run.max_minutes` from the command line: such a run ends by itself, and goes on after a kill."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from model.checkpoint.checkpoint import load_checkpoint
from training.loop.saved_values import load_values
from training.tracking.metrics_log import read_metrics
from training.train import main

BY_TIME = ("run.max_steps=null", "run.eval_every=auto")


def train(config: Path, run: Path, *more: str) -> int:
    return main([str(config), "--output", str(run), *BY_TIME, *more])


def plan(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = load_values(run)["plan"]
    return found


def test_a_run_ends_with_its_minutes_and_goes_on_with_more(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(tiny_config, run, "run.max_minutes=0.05") == 0
    end = load_checkpoint(run / "last").step
    assert plan(run)["by_time"] == end
    assert plan(run)["last_validation"] == end
    assert f"{end:,} steps within 0.05 minutes" in (run / "report.html").read_text("utf-8")
    capsys.readouterr()
    assert train(tiny_config, run, "run.max_minutes=0.05") == 0
    assert f"is finished at step {end:,}. Raise run.max_minutes" in capsys.readouterr().out
    longer = (plan(run)["elapsed_s"] + 3) / 60
    assert train(tiny_config, run, "--resume", f"run.max_minutes={longer}") == 0
    assert load_checkpoint(run / "last").step > end
    assert plan(run)["minutes"] == longer


def test_steps_end_a_run_that_has_minutes_left(tiny_config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(tiny_config, run, "run.max_minutes=60", "run.max_steps=6") == 0
    assert load_checkpoint(run / "last").step == 6
    assert train(tiny_config, run, "run.max_minutes=60", "run.max_steps=6") == 0
    assert train(tiny_config, run, "run.max_minutes=60", "run.max_steps=9", "--resume") == 0
    assert load_checkpoint(run / "last").step == 9


def test_a_killed_run_goes_on_with_the_minutes_that_are_left(
    tiny_config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    settings = ("run.max_steps=null", "run.max_minutes=60", "run.eval_every=5", "run.log_every=1")
    process = subprocess.Popen(
        [sys.executable, "-m", "training.train", tiny_config, "--output", run, *settings],
        stderr=subprocess.DEVNULL,
    )
    while not (run / "last").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    saved, stopped = plan(run), load_checkpoint(run / "last").step
    assert saved["by_time"] > stopped
    assert 0 < saved["elapsed_s"] < 3600
    minutes = (saved["elapsed_s"] + 5) / 60
    shorter = [*settings, f"run.max_minutes={minutes}", "--resume"]
    assert main([str(tiny_config), "--output", str(run), *shorter]) == 0
    assert plan(run)["elapsed_s"] > saved["elapsed_s"]
    assert load_checkpoint(run / "last").step == plan(run)["by_time"]
    steps = [line["step"] for line in read_metrics(run / "metrics.jsonl") if "loss" in line]
    assert steps == list(range(1, len(steps) + 1))  # none twice, none left out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("run.max_minutes=0", "must be above 0"),
        ("run.max_minutes=null", "run.max_steps: missing, and so is run.max_minutes"),
        ("objective.scheduled_sampling=0.5", "its time is a share of run.max_steps"),
    ],
)
def test_wrong_minutes_are_one_line(
    tiny_config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: str,
    message: str,
) -> None:
    assert train(tiny_config, tmp_path / "run", "run.max_minutes=1", change) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert message in errors


def test_the_dry_run_counts_what_the_minutes_hold(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tiny_config, tmp_path / "run", "run.max_minutes=60", "--dry-run") == 0
    hour = capsys.readouterr().out.splitlines()[-1]
    updates = int(hour.split(" for ")[1].split(" updates")[0].replace(",", ""))
    assert updates > 100
    assert "time: about 0:5" in hour or "time: about 1:0" in hour
