"""Finished flags: tell the host which sentences are finished, without waiting for the device.

The flags are copied to host memory that the device can write to. An event tells whether they have
arrived, so the host may learn some steps late that a sentence is finished. Until then its slot is
idle: see `Beam.over`. Flags are kept by sentence, because slots may get others in between.
"""

# Shapes: N active sentences.

import torch
from torch import Tensor

from model.decoding.sentence import Sentence


class FinishedFlags:
    """A copy of the flags, arrived or on its way to the host. On a CPU it arrives at once."""

    def __init__(self, slots: int, device: torch.device) -> None:
        """For up to `slots` sentences."""
        self._device = device
        on_gpu = device.type == "cuda"
        self._flags = torch.zeros(slots, dtype=torch.bool, pin_memory=on_gpu)
        self._arrived: torch.cuda.Event | None = None
        if on_gpu:
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._asked: list[int] = []  # ids of the sentences whose flags are not yet read

    def ask(self, over: Tensor, active: list[Sentence]) -> None:
        """Copy the flags `over` (N,) of the active sentences. The last copy must have been read."""
        assert not self._asked, "the copy on its way would be overwritten"
        self._flags[: len(active)].copy_(over, non_blocking=True)
        self._asked = [sentence.id for sentence in active]
        if self._arrived is not None:
            self._arrived.record(torch.cuda.current_stream(self._device))

    def read(self, *, wait: bool) -> set[int]:
        """Return the ids of finished sentences, once per copy; none if it has not yet arrived.

        `wait`: wait for it to arrive.
        """
        if self._asked and self._arrived is not None:
            if wait:
                self._arrived.synchronize()
            elif not self._arrived.query():  # type: ignore[no-untyped-call]
                return set()
        flags = self._flags[: len(self._asked)].tolist()
        over = {id for id, flag in zip(self._asked, flags, strict=True) if flag}
        self._asked = []
        return over
