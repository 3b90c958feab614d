"""The shortlist of a run: in every checkpoint, the same after a resumption, and left out by key."""

from pathlib import Path

import numpy as np
import pytest

from model.checkpoint.checkpoint import load_checkpoint
from model.text.tokenizer import EOS_ID
from training.train import main


def train(config: Path, run: Path, *more: str) -> int:
    return main([str(config), "--output", str(run), *more])


def test_every_checkpoint_has_it_and_the_card_says_how_good_it_is(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(tiny_config, run, "shortlist.candidates=9") == 0

    assert "shortlist: " in capsys.readouterr().err
    for directory in (run / "checkpoints").iterdir():
        model = load_checkpoint(directory)
        assert model.shortlist is not None
        assert model.shortlist.candidates.shape == (model.tokenizer.vocab_size, 9)
        assert "## Shortlist" in model.card


def test_a_resumed_run_has_the_same(tiny_config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(tiny_config, run, "run.max_steps=4") == 0
    first = load_checkpoint(run / "last").shortlist
    assert train(tiny_config, run, "--resume") == 0
    second = load_checkpoint(run / "last").shortlist

    assert first is not None and second is not None
    assert np.array_equal(first.candidates, second.candidates)
    assert np.array_equal(first.frequent, second.frequent)


def test_no_candidates_no_shortlist(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(tiny_config, run, "shortlist.candidates=0", "run.max_steps=4") == 0

    assert load_checkpoint(run).shortlist is None
    assert not (run / "best" / "shortlist.safetensors").exists()
    assert "shortlist" not in capsys.readouterr().err + load_checkpoint(run).card


@pytest.mark.parametrize("sampling", [0.0, 0.3])
def test_it_is_learned_from_targets_as_the_training_segments_them(
    tiny_config: Path, tmp_path: Path, sampling: float
) -> None:
    run = tmp_path / "run"
    assert train(tiny_config, run, f"tokenizer.sampling={sampling}", "run.max_steps=4") == 0

    model = load_checkpoint(run)
    assert model.shortlist is not None
    lines = (tmp_path / "train.en").read_text(encoding="utf-8").splitlines()
    ordinary = {EOS_ID}.union(*map(model.tokenizer.encode, lines))
    assert (set(model.shortlist.candidates.flat) <= ordinary) == (sampling == 0)
