"""Step launch: how the steps of a torch search are launched. No choice changes a result.

On a GPU the host must not wait for the device in every step, nor launch the hundred kernels of a
step one by one. Each technique has a switch here, so that tests on a CPU run all but the capture.
"""

from dataclasses import dataclass

import torch

FLAGS_EVERY = 4
FEWEST_SENTENCES, SHORTEST_SOURCE = 4, 32


@dataclass(frozen=True, kw_only=True, slots=True)
class StepLaunch:
    """How the steps of a lane are launched. The defaults are for a CPU."""

    flags_every: int = 1
    """Steps between two looks at the finished flags; see `finished_flags`."""
    bucketed: bool = False
    """Whether steps have only a few fixed shapes; see `bucket`."""
    captured: bool = False
    """Whether each of these shapes is captured when it is new, and then replayed; see `graphs`."""
    encode_ahead: bool = False
    """Whether waiting sentences are encoded while the device is busy with a step."""

    def __post_init__(self) -> None:
        assert self.flags_every >= 1
        assert self.bucketed or not self.captured, "a graph has one shape"


def launch_for(device: torch.device) -> StepLaunch:
    """The settings that are the fastest on `device`."""
    if device.type != "cuda":
        return StepLaunch()
    return StepLaunch(flags_every=FLAGS_EVERY, bucketed=True, captured=True, encode_ahead=True)


def bucket(needed: int, smallest: int, most: int) -> int:
    """The first of `smallest`, twice that, four times that, and so on up to `most`, that suffices.

    Doubling keeps the number of graphs small, and wastes less than half of a step.
    """
    assert needed <= most
    size = smallest
    while size < needed:
        size *= 2
    return min(size, most)
