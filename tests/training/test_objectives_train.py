"""Every objective trains from the command line, the same each time, and resumes exactly."""

from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import load_training_state
from training.train import main

OBJECTIVES: dict[str, tuple[str, ...]] = {
    "rdrop": ("objective.rdrop=1.0",),
    "variational": ("objective.variational_dropout=true",),
    "guided": ("objective.guided_alignment=0.5",),
    "scheduled": ("objective.scheduled_sampling=0.8",),
    "risk": ("objective.risk_weight=0.5", "objective.risk_samples=2"),
    "taught": ("objective.distillation=0.5", "objective.teacher=[TEACHER]"),
}


def train(config: Path, run: Path, *more: str) -> int:
    return main([str(config), "--output", str(run), *more])


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_training_state(run)[0]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_it_matters_and_resumes_exactly(name: str, tiny_config: Path, tmp_path: Path) -> None:
    fixed = ("optimizer.schedule=inverse_sqrt",)
    plain, whole, parts = (tmp_path / run for run in ("plain", "whole", "parts"))
    assert train(tiny_config, plain, *fixed, "run.max_steps=4") == 0
    wanted = (override.replace("TEACHER", str(plain)) for override in OBJECTIVES[name])
    settings = (*fixed, *wanted)
    assert train(tiny_config, whole, *settings, "run.max_steps=4") == 0
    if name != "scheduled":  # its schedule ends with the run
        assert train(tiny_config, parts, *settings, "run.max_steps=2") == 0
    resumed = "run.max_steps=4"
    assert train(tiny_config, parts, *settings, resumed, "--resume") == 0
    first, second, third = weights(plain), weights(whole), weights(parts)
    for key, tensor in second.items():
        assert torch.equal(tensor, third[key]), key
    assert any(not torch.equal(tensor, first[key]) for key, tensor in second.items())


def test_another_teacher_under_the_same_path_is_refused_on_resume(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher, run = tmp_path / "teacher", tmp_path / "run"
    assert train(tiny_config, teacher, "run.max_steps=2") == 0
    taught = ("objective.distillation=0.5", f"objective.teacher=[{teacher}/last]")
    assert train(tiny_config, run, *taught, "run.max_steps=2") == 0
    assert train(tiny_config, teacher, "run.max_steps=3", "--resume") == 0
    assert train(tiny_config, run, *taught, "run.max_steps=4", "--resume") == 2
    assert "models of objective.teacher are not those that the run began" in capsys.readouterr().err
