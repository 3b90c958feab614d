"""Step launch: how the steps of a torch search are launched. No choice changes a result.

On a GPU the host must not wait for the device in every step, nor launch a step's hundred kernels
one by one. Each of the means has a switch here, so that the tests run all but the capture on a CPU.
"""

from dataclasses import dataclass

import torch

FLAGS_EVERY = 4
FEWEST_SENTENCES, SHORTEST_SOURCE = 4, 32


@dataclass(frozen=True, kw_only=True, slots=True)
class StepLaunch:
    """What a lane does on a CPU, by default."""

    flags_every: int = 1
    """Steps from one look at the finish flags to the next; see `finished_flags`."""
    bucketed: bool = False
    """Steps are of few fixed shapes; see `bucket`."""
    captured: bool = False
    """Each of these shapes is captured when it is new and replayed then; see `graphs`."""
    encode_ahead: bool = False
    """Waiting sentences are encoded while the device is busy with a step."""

    def __post_init__(self) -> None:
        assert self.flags_every >= 1
        assert self.bucketed or not self.captured, "a graph has one shape"


def launch_for(device: torch.device) -> StepLaunch:
    """What is meant to be the fastest on a device."""
    if device.type != "cuda":
        return StepLaunch()
    return StepLaunch(flags_every=FLAGS_EVERY, bucketed=True, captured=True, encode_ahead=True)


def bucket(needed: int, smallest: int, most: int) -> int:
    """The least of `smallest`, twice that, four times that and so on, up to `most`, that suffices.

    Doubling keeps the graphs of a lane few, and wastes less than half of a step.
    """
    assert needed <= most
    size = smallest
    while size < needed:
        size *= 2
    return min(size, most)
