"""SideStream: work beside the steps of a search, on a second CUDA stream; on a CPU done at once.

What it makes is used on the stream of the steps, which waits for it without the host waiting.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor

Made = TypeVar("Made")
Ready = torch.cuda.Event | None
"""When something is there: None if it is already."""


class SideStream:
    """A stream of its own on a CUDA device; on a CPU nothing."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            # The weights were put there on the stream of today.
            self._stream.wait_stream(torch.cuda.current_stream(device))

    def run(self, work: Callable[[], Made]) -> tuple[Made, Ready]:
        """What `work` makes, and when it is there."""
        if self._stream is None:
            return work(), None
        with torch.cuda.stream(self._stream):
            made = work()
            ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
            ready.record(self._stream)
        return made, ready

    def join(self, ready: Ready, made: Iterable[Tensor]) -> None:
        """Let the current stream wait until `made` is there; it may use it from then on."""
        if ready is None:
            return
        current = torch.cuda.current_stream(self._device)
        current.wait_event(ready)
        for tensor in made:
            # Else the side stream could reuse the memory before the current one has read it.
            tensor.record_stream(current)


def sent(values: Tensor, device: torch.device) -> Tensor:
    """`values` of the host on the device, without waiting until they are there."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
