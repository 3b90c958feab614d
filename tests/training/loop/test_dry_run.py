"""`--dry-run`: what it says is true, and nothing is written."""

import re
from pathlib import Path

import pytest

from training.loop.dry_run import Pace, duration
from training.train import main


def test_sizes_memory_and_time_are_told_and_nothing_is_written(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = [str(tiny_config), "--output", str(run)]
    assert main([*command, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert not run.exists()
    total, parts = re.findall(r"parameters: ([\d,]+) \((.*)\)", told)[0]
    assert main(command) == 0
    assert f"model: {total} parameters" in capsys.readouterr().err
    sizes = [int(size.replace(",", "")) for size in re.findall(r" ([\d,]+\d)", f" {parts}")]
    assert sum(sizes) == int(total.replace(",", ""))
    assert "8 updates are" in told
    assert re.search(r"memory: 0\.\d\d GB at the most .* of \d+\.\d\d GB on cpu", told)
    assert re.search(r"speed: \d\.\d\d\d s an update, [\d,]+ tokens/s", told)
    assert re.search(r"time: about 0:\d\d:\d\d for 8 updates", told)
    assert main([*command, "--resume", "run.max_steps=20", "--dry-run"]) == 0
    assert "12 updates are" in capsys.readouterr().out


def test_the_estimate_counts_updates_and_validations() -> None:
    pace = Pace(update_s=0.5, validation_s=10.0, pairs=20.0, tokens=400.0)
    assert pace.total_s(100, 40) == 50 + 3 * 10
    assert pace.total_s(0, 40) == 0
    assert [duration(seconds) for seconds in (59.6, 4000, 200_000)] == [
        "0:01:00",
        "1:07:00",
        "2 days, 7:33:00",
    ]
