"""A training that is interrupted and resumed, beside one that is not."""

from pathlib import Path

import torch

from model.checkpoint.checkpoint import load_training_state
from training.train import main as train


def check_resumed_to_the_bit(config: Path, steps: int, interrupted: int) -> None:
    """Assert that a run of `steps` updates that was stopped once is the whole one to the bit."""
    whole, parts = config.parent / "whole", config.parent / "parts"
    # A schedule that does not depend on the length of the run.
    keys = ["run.eval_every=7", "optimizer.schedule=inverse_sqrt"]
    first, all_steps = f"run.max_steps={interrupted}", f"run.max_steps={steps}"
    assert train([str(config), "--output", str(whole), *keys, all_steps]) == 0
    assert train([str(config), "--output", str(parts), *keys, first]) == 0
    assert train([str(config), "--output", str(parts), "--resume", *keys, all_steps]) == 0
    (tensors, values), (others, other_values) = map(load_training_state, (whole, parts))
    assert values["trainer"] == other_values["trainer"]
    assert tensors.keys() == others.keys()
    for name, value in tensors.items():
        assert torch.equal(value, others[name]), name
