"""What is held and needed."""

import os
import subprocess
import sys

import pytest
import torch

from training.system.memory_use import OutOfMemory, named_shortage


def test_only_want_of_memory_is_told_as_such() -> None:
    for amount in (1 << 58, 1 << 62):  # of bytes; torch and numpy refuse them in their own ways
        for allocate in (torch.ByteTensor, bytearray):
            with (
                pytest.raises(OutOfMemory, match=r"no memory left for a save\. Free some\."),
                named_shortage("a save", "Free some."),
            ):
                allocate(amount)
    with pytest.raises(RuntimeError, match="shape"), named_shortage("a save", "Free some."):
        torch.ones(2, 3) @ torch.ones(2, 3)


CONVOLUTIONS = """
from training.system.memory_use import bound_kernel_cache
bound_kernel_cache()
import torch
for _ in range(2):
    print("pass", flush=True)
    for size in range(10, 310):
        torch.nn.functional.conv2d(torch.ones(1, 16, 16, size), torch.ones(16, 16, 3, 3))
"""


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="no oneDNN")  # type: ignore[no-untyped-call]
@pytest.mark.parametrize(("given", "kept"), [({}, False), ({"CAPACITY": "1024"}, True)])
def test_few_of_the_programs_for_shapes_are_kept(given: dict[str, str], kept: bool) -> None:
    """300 shapes, twice: the second time they are prepared again, unless the user wants more."""
    variables = {f"ONEDNN_PRIMITIVE_CACHE_{key}": value for key, value in given.items()}
    output = subprocess.run(
        [sys.executable, "-c", CONVOLUTIONS],
        env=os.environ | {"ONEDNN_VERBOSE": "all"} | variables,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    first, second = output.split("pass\n")[1:]
    assert "create:cache_miss" in first
    assert ("create:cache_miss" not in second) is kept


PEAKS = """
import torch
from training.system.memory_use import peak_bytes

def work():
    for _ in range(3):  # one after another
        torch.ones(25_000_000)

for piece in (work, work, lambda: None):  # an earlier peak does not count
    print(peak_bytes(piece, torch.device("cpu")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_of_a_piece_of_work_is_what_it_held_at_once() -> None:
    """In a process of its own: here threads and garbage of other tests come and go meanwhile."""
    output = subprocess.run(
        [sys.executable, "-c", PEAKS], check=True, capture_output=True, text=True
    ).stdout
    first, second, nothing = map(int, output.split())
    assert [first, second] == pytest.approx([100e6, 100e6], rel=0.1)
    assert nothing < 10e6
