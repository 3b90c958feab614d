"""The precision of training: measured, remembered, and kept by a resumed run."""

import json
from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import load_training_meta
from training.config.train_config import load_config
from training.loop.auto_precision import fastest_training, seconds_of_update, training_dtype
from training.train import main

CPU = torch.device("cpu")


def test_the_faster_one_is_measured_and_then_remembered(tiny_config: Path, tmp_path: Path) -> None:
    config = load_config(tiny_config)
    best = fastest_training(config, tmp_path / "cache")
    file = tmp_path / "cache" / "precision.json"
    (key,) = json.loads(file.read_text())
    other = "bf16" if best == "fp32" else "fp32"
    file.write_text(json.dumps({key: other}))
    assert fastest_training(config, tmp_path / "cache") == other
    larger = load_config(tiny_config, ["run.batch_tokens=400"])
    fastest_training(larger, tmp_path / "cache")
    assert len(json.loads(file.read_text())) == 2


def test_a_larger_batch_takes_longer_and_no_random_number_is_used(tiny_config: Path) -> None:
    before = torch.get_rng_state()
    small = load_config(tiny_config, ["run.batch_tokens=32"])
    large = load_config(tiny_config, ["run.batch_tokens=4096"])
    assert seconds_of_update(small, "fp32") < seconds_of_update(large, "fp32")
    assert torch.equal(torch.get_rng_state(), before)


def test_auto_is_measured_on_a_cpu_only(tiny_config: Path, tmp_path: Path) -> None:
    auto = load_config(tiny_config, ["run.precision=auto"])
    assert training_dtype(load_config(tiny_config), CPU) == torch.float32
    assert training_dtype(auto, CPU, tmp_path) in (torch.float32, torch.bfloat16)
    assert training_dtype(auto, torch.device("cuda")) == torch.bfloat16


def test_a_resumed_run_keeps_its_precision(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun in bf16, gone on as auto on a machine that remembers nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    command = [str(tiny_config), "--output", str(tmp_path / "run"), "--resume"]
    assert main([*command, "run.precision=bf16", "run.max_steps=4"]) == 0
    assert main([*command, "run.precision=auto", "run.max_steps=6"]) == 0
    assert load_training_meta(tmp_path / "run")["precision"] == "bf16"
    assert not (tmp_path / "empty" / "dragoman").exists()
