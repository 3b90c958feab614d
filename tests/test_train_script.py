"""pretrained/train.sh: stages in their order, resumed, and packed."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SMALL = ("run.max_steps=4", "run.eval_every=2", "model.encoder_size=16", "model.decoder_size=16")


def train(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the script in a folder with the configs of the project."""
    for name in ("configs", "pretrained"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "pretrained/train.sh", *arguments],
        cwd=folder,
        env=os.environ | {"DRAGOMAN_DATA": str(folder / "data"), "PATH": programs},
        capture_output=True,
        text=True,
    )


def test_a_model_that_it_does_not_know_is_refused(tmp_path: Path) -> None:
    done = train(tmp_path, "fr-en")
    assert done.returncode == 2
    assert done.stderr == "pretrained/train.sh: no model fr-en. Use de-en, en-de, titles or g2p.\n"


@pytest.mark.slow
def test_a_model_is_trained_resumed_and_packed(tmp_path: Path) -> None:
    data = tmp_path / "data" / "cmudict"
    data.mkdir(parents=True)
    for part in ("train", "dev"):
        for kind, line in (("graph", "a b\n"), ("phon", "AH0 B\n")):
            (data / f"{part}.{kind}.gz").write_bytes(gzip.compress(line.encode() * 20))
    for steps in ("4", "6"):
        done = train(tmp_path, "g2p", *SMALL, f"run.max_steps={steps}")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "runs" / "g2p.dragoman").exists()
    assert "resumed at step 4" in done.stdout + done.stderr
