"""Finished flags: which sentences are over, told to the host without making the device wait.

The flags are copied to memory of the host that the device can write to. Whether they have arrived
is asked of an event, so the host may learn some steps later that a sentence is over. Until then its
slot rests: see `Beam.over`. They are kept by sentence, because slots may get others in between.
"""

# Shapes: N active sentences.

import torch
from torch import Tensor

from model.decoding.sentence import Sentence


class FinishedFlags:
    """One copy of the flags, on its way to the host or there. On a CPU it is there at once."""

    def __init__(self, slots: int, device: torch.device) -> None:
        """For up to `slots` sentences."""
        self._device = device
        on_gpu = device.type == "cuda"
        self._flags = torch.zeros(slots, dtype=torch.bool, pin_memory=on_gpu)
        self._arrived: torch.cuda.Event | None = None
        if on_gpu:
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._asked: list[int] = []  # the ids of those whose flags are not read yet

    def ask(self, over: Tensor, active: list[Sentence]) -> None:
        """Let the flags `over` (N,) of the active sentences be copied. What was asked is read."""
        assert not self._asked, "the copy on its way would be overwritten"
        self._flags[: len(active)].copy_(over, non_blocking=True)
        self._asked = [sentence.id for sentence in active]
        if self._arrived is not None:
            self._arrived.record(torch.cuda.current_stream(self._device))

    def read(self, *, wait: bool) -> set[int]:
        """The ids of sentences that are over, each copy once; none if it is still on its way.

        With `wait` it is waited for.
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
