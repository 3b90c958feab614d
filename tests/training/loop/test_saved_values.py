"""Training states from strangers: one line says why a run is not resumed."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.hostile_checkpoints import (
    ANYTHING,
    NO_FILE,
    TENSORS,
    VALUES,
    Attack,
    all_are,
    all_are_of,
    becomes,
    first_weight_is,
    header_is,
    holds,
    json_says,
    sparse,
    tensors_are,
)
from training.train import main


def says(**changes: object) -> Attack:
    return partial(json_says, file=VALUES, changes=changes)


def trainer_says(**changes: object) -> Attack:
    trainer: dict[str, Any] = {"steps": 4, "position": [0, 0, 4], "skipped": 0}
    return says(trainer=trainer | changes)


def guard_says(**changes: object) -> Attack:
    guard = {"good": [1.0], "bad": 0, "rollbacks": 0, "in_vain": 0, "learning_rate": 0.01}
    return trainer_says(guard=guard | changes)


def state_is(change: Callable[[dict[str, Tensor]], object]) -> Attack:
    return partial(tensors_are, file=TENSORS, change=change)


def moments_are(shape: tuple[int, ...]) -> Callable[[dict[str, Tensor]], object]:
    return lambda tensors: tensors.update(
        {name: torch.ones(shape) for name in tensors if "/exp_avg_sq/" in name}
    )


ATTACKS: dict[str, Attack] = {
    **{f"values: {what}": partial(holds, file=VALUES, content=c) for what, c in ANYTHING.items()},
    **{
        f"values: {what}": partial(becomes, file=VALUES, make=make)
        for what, make in NO_FILE.items()
    },
    **{f"tensors: {w}": partial(becomes, file=TENSORS, make=make) for w, make in NO_FILE.items()},
    "values: trainer null": says(trainer=None),
    "values: trainer absent": says(trainer=...),
    "values: trainer guard null": trainer_says(guard=None),
    "values: without_better absent": says(without_better=...),
    "values: without_better text": says(without_better="1"),
    "values: without_better 10^400": says(without_better=10**400),
    "values: best_score text": says(best_score="1"),
    "values: best_score 10^400": says(best_score=10**400),
    "values: precision int8": says(precision="int8"),
    "values: digest a number": says(data_digest=1),
    "values: another digest": says(data_digest="1"),
    "values: unknown key": says(unknown=1),
    "values: steps text": trainer_says(steps="4"),
    "values: steps -1": trainer_says(steps=-1),
    "values: steps 10^400": trainer_says(steps=10**400),
    "values: position empty": trainer_says(position=[]),
    "values: position of 4": trainer_says(position=[0, 0, 0, 0]),
    "values: position -1": trainer_says(position=[0, 0, -1]),
    "values: position 10^18": trainer_says(position=[10**18, 0, 0]),
    "values: rollbacks 10^400": guard_says(rollbacks=10**400),
    "values: rollbacks -10": guard_says(rollbacks=-10),
    "values: good NaN": guard_says(good=[float("nan")]),
    "values: good 1,000": guard_says(good=[1.0] * 1000),
    "values: window of 2": trainer_says(window=[1.0, 1.0]),
    "values: window infinite": trainer_says(window=[1.0, 1.0, float("inf")]),
    "tensors: garbage": partial(holds, file=TENSORS, content=b"\xff" * 99),
    "tensors: header of 2^60": partial(header_is, file=TENSORS, length=2**60, header=b"{}"),
    "tensors: 1 TB without content": partial(becomes, file=TENSORS, make=sparse(10**12)),
    "tensors: none": state_is(lambda tensors: tensors.clear()),
    "tensors: one less": state_is(lambda tensors: tensors.pop("raw/output.weight")),
    "tensors: NaN": state_is(first_weight_is(float("nan"))),
    "tensors: infinite": state_is(all_are(float("inf"))),
    "tensors: fp64": state_is(all_are_of(torch.float64)),
    "tensors: int8": state_is(all_are_of(torch.int8)),
    "tensors: moments of one number": state_is(moments_are((1,))),
    "tensors: moments empty": state_is(moments_are((0,))),
}


def resume(folder: Path) -> int:
    command = [str(folder / "tiny.yaml"), "--output", str(folder / "run"), "--resume"]
    return main(command)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_in_one_line(
    begun_run: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (checkpoint,) = (begun_run / "run" / "checkpoints").iterdir()
    intact = begun_run / "intact"
    shutil.copytree(checkpoint, intact)
    try:
        ATTACKS[name](checkpoint)
        capsys.readouterr()
        assert resume(begun_run) == 2
        told = capsys.readouterr().err.splitlines()
        assert [line for line in told if line.startswith("dragoman-train: error: ")] == told[-1:]
        assert len(told[-1]) < 2000
    finally:
        shutil.rmtree(checkpoint)
        intact.rename(checkpoint)
