"""SideStream: work alongside the steps of a search, on a second CUDA stream; on a CPU done at once.

Its results are used on the stream of the steps, which waits for them without blocking the host.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor

Made = TypeVar("Made")
Ready = torch.cuda.Event | None
"""The event after which something is ready; None if it is ready now."""


class SideStream:
    """A second stream on a CUDA device; nothing on a CPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            # The weights were written on the stream that is current now.
            self._stream.wait_stream(torch.cuda.current_stream(device))

    def run(self, work: Callable[[], Made]) -> tuple[Made, Ready]:
        """Start `work`; returns its result, and when that is ready."""
        if self._stream is None:
            return work(), None
        with torch.cuda.stream(self._stream):
            made = work()
            ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
            ready.record(self._stream)
        return made, ready

    def join(self, ready: Ready, made: Iterable[Tensor]) -> None:
        """Let the current stream wait until `made` is ready; it may then use it."""
        if ready is None:
            return
        current = torch.cuda.current_stream(self._device)
        current.wait_event(ready)
        for tensor in made:
            # Otherwise the side stream could reuse the memory before the current one has read it.
            tensor.record_stream(current)


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Copy `values` from the host to the device without waiting."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
