"""Footprint: what the engine holds, equal to what torch's allocator gave it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.cli.footprint import footprint, tensor_bytes
from model.cli.timing import Workload, make_engine
from model.decoding.engine import Engine
from model.decoding.request import Request


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


def test_each_storage_counts_once_wherever_it_is_reached() -> None:
    whole = torch.zeros(100, dtype=torch.float32)
    layer = torch.nn.Linear(3, 2)
    held: dict[str, object] = {
        "a": [whole, whole[10:20]],
        "b": (whole.view(10, 10), layer),
        "c": "",
    }
    held["itself"] = held
    assert tensor_bytes(held) == 400 + 4 * (3 * 2 + 2)
    assert tensor_bytes([torch.zeros(3, dtype=torch.bool), torch.zeros(0)]) == 3
    ids = np.zeros(5, dtype=np.int32)
    assert tensor_bytes({"array": ids, "tensor": torch.from_numpy(ids)}) == 20


def allocated(checkpoint: Checkpoint, precision: str, slots: int) -> int:
    """Bytes that torch has handed out and not got back when an engine is warm."""
    load = Workload(
        run=checkpoint.path,
        device="cpu",
        precision=precision,
        in_flight=slots,
        beam_size=checkpoint.search.beam_size,
    )
    kept: list[Engine] = []
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        engine = make_engine(checkpoint, load)
        engine.add(Request(src=(5, 6), options=checkpoint.search))
        while engine.busy:
            engine.step()
        kept.append(engine)
    return sum(event.self_cpu_memory_usage for event in profiled.events())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("beam_size", [1, 2])
def test_slots_take_what_is_allocated_for_them(
    checkpoint: Checkpoint, precision: str, beam_size: int
) -> None:
    chosen = replace(checkpoint, search=replace(checkpoint.search, beam_size=beam_size))
    found = footprint(chosen, precision)
    allocated(chosen, precision, 1)  # what all engines of the process share is there from now on
    nine, four = (allocated(chosen, precision, slots) for slots in (9, 4))
    assert nine - four == 5 * found.slot_bytes


def test_weights_and_slots_are_what_torch_has_handed_out(checkpoint: Checkpoint) -> None:
    found = {precision: footprint(checkpoint, precision) for precision in ("fp32", "bf16")}
    assert found["bf16"].fixed_bytes < found["fp32"].fixed_bytes
    for precision, one in found.items():
        handed_out = allocated(checkpoint, precision, 1)
        # Reached from the engine but not made for it: what it shares with the checkpoint.
        shared = one.fixed_bytes + one.slot_bytes - handed_out
        weights = sum(4 * value.numel() for value in checkpoint.network.parameters())
        assert 0 <= shared <= weights + 1024
