"""The report of a run: a PNG whose panels hold the curves that there are."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from numpy.typing import NDArray

from model.errors import DataError
from training.curves import save_report

TRAIN = {
    "loss": 5.0,
    "nll": 4.0,
    "learning_rate": 1e-3,
    "source_tokens_per_s": 1650.0,
    "target_tokens_per_s": 1810.0,
}
DEV = {"dev_loss": 4.5, "dev_bleu": 12.5, "dev_chrf": 33.0}


def write(path: Path, lines: list[dict[str, float | None]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def curves_in_quarters(png: Path) -> list[set[str]]:
    """For each panel, in reading order, the colours of the curves that are drawn in it."""
    image = imread(png)[:, :, :3]
    rows, columns = (size // 2 for size in image.shape[:2])
    quarters = [
        image[top : top + rows, left : left + columns] for top in (0, rows) for left in (0, columns)
    ]
    colours = ("tab:blue", "tab:orange", "lightsteelblue")
    return [{c for c in colours if _has(quarter, to_rgb(c))} for quarter in quarters]


def _has(image: NDArray[np.float32], colour: tuple[float, float, float]) -> bool:
    return bool((np.abs(image - colour).max(axis=2) < 0.01).sum() > 20)


def test_every_panel_has_its_curves(tmp_path: Path) -> None:
    steps = range(10, 2010, 10)
    lines: list[dict[str, float | None]] = [{"step": step, **TRAIN} for step in steps]
    lines[100:100] = [{"step": 500, **DEV}, {"step": 1000, **DEV, "dev_bleu": 13.0}]
    save_report(write(tmp_path / "run" / "metrics.jsonl", lines), tmp_path / "report.png")

    assert curves_in_quarters(tmp_path / "report.png") == [
        {"tab:blue", "tab:orange", "lightsteelblue"},
        {"tab:blue", "tab:orange"},
        {"tab:blue"},
        {"tab:blue", "tab:orange"},
    ]


def test_a_run_without_validation_has_an_empty_dev_panel(tmp_path: Path) -> None:
    lines: list[dict[str, float | None]] = [{"step": 50, **TRAIN}]  # one point must show
    save_report(write(tmp_path / "$x^$" / "metrics.jsonl", lines), tmp_path / "report.png")

    assert curves_in_quarters(tmp_path / "report.png") == [
        {"tab:blue", "lightsteelblue"},
        set(),
        {"tab:blue"},
        {"tab:blue", "tab:orange"},
    ]


@pytest.mark.parametrize("lines", [[], [{"step": 1, "loss": None}]])
def test_a_run_without_numbers_has_an_empty_report(
    tmp_path: Path, lines: list[dict[str, float | None]]
) -> None:
    save_report(write(tmp_path / "run" / "metrics.jsonl", lines), tmp_path / "report.png")

    assert curves_in_quarters(tmp_path / "report.png") == [set()] * 4


def test_a_report_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    metrics = write(tmp_path / "run" / "metrics.jsonl", [{"step": 1, **TRAIN}])

    with pytest.raises(DataError, match=r"gone/report\.png: cannot be written"):
        save_report(metrics, tmp_path / "gone" / "report.png")


def test_drawing_leaves_no_global_state(tmp_path: Path) -> None:
    metrics = write(tmp_path / "run" / "metrics.jsonl", [{"step": 1, **TRAIN}])
    import matplotlib.pyplot as plt

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_report(metrics, tmp_path / "report.png")

    assert plt.get_fignums() == []
