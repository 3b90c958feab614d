"""The demo: its files, and (slow) the whole of it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import Settings
from training.demo.__main__ import DEV_PAIRS, HELD_OUT_PAIRS, PAGE, TRAIN_PAIRS, write_corpus

ROOT = Path(__file__).parents[3]


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def test_three_parts_that_share_no_sentence(tmp_path: Path) -> None:
    held_out = write_corpus(tmp_path)
    parts = {name: lines(tmp_path / f"{name}.de") for name in ("train", "dev", "held-out")}
    assert [len(part) for part in parts.values()] == [TRAIN_PAIRS, DEV_PAIRS, HELD_OUT_PAIRS]
    assert TRAIN_PAIRS >= 5000 and HELD_OUT_PAIRS == 500
    everything = [line for part in parts.values() for line in part]
    assert len(set(everything)) == len(everything)
    assert [pair.source for pair in held_out] == parts["held-out"]
    assert [pair.target for pair in held_out] == lines(tmp_path / "held-out.en")


def test_the_page_that_it_names_is_where_the_server_listens() -> None:
    assert f"http://{Settings().host}:{Settings().port}/" == PAGE


@pytest.mark.slow
def test_the_whole_demo_reaches_95_percent(tmp_path: Path) -> None:
    """Minutes long: it trains the demo's real config."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    for package in ("model", "training"):
        (tmp_path / package).symlink_to(ROOT / package)
    shown = subprocess.run(
        [sys.executable, "-m", "training.demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    exact = re.search(r"Exact match on 500 held-out sentences: ([\d.]+) %", shown)
    assert exact is not None and float(exact[1]) >= 95
    assert (tmp_path / "runs" / "demo" / "attention.png").exists()
    assert "dragoman-translate" in shown
    assert re.search(rf"dragoman-serve de-en runs/demo +then open {re.escape(PAGE)}", shown)
