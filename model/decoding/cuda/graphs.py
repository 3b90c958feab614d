"""Graphs: launch a step kernel by kernel, or as one captured CUDA graph.

A graph is a step of one shape with the addresses of everything that it reads and writes; replaying
it is one launch. So a step must only read and write fixed buffers, and there must be few shapes.

Steps with rules are not captured, because their operations depend on the sentences, and neither are
the steps of a lane with shortlists, whose buffers are replaced when longer lists arrive.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

Work = Callable[[], None]
Step = Callable[[int, int], None]
"""A step of the first `count` slots, over `source` source pieces: a function of fixed buffers."""

WARM_UPS = 3


class Runner(Protocol):
    """Something that runs a step."""

    def run(self, step: Step, count: int, source: int) -> None: ...


class PlainRunner:
    """Calls the step."""

    def run(self, step: Step, count: int, source: int) -> None:
        """Let the step happen."""
        step(count, source)


class Capture(Protocol):
    """A way to capture work."""

    def warm_up(self, work: Work) -> None:
        """Do the work once, in the place where it will be captured."""
        ...

    def capture(self, work: Work) -> Work:
        """Return a function that does the work again. Capturing may or may not do it."""
        ...


class CapturedRunner:
    """Captures the step when a shape is new, and replays it from then on."""

    def __init__(self, capture: Capture, changed: Sequence[Tensor], over: Tensor) -> None:
        """See `rehearse` for the buffers."""
        self._capture, self._changed, self._over = capture, changed, over
        self._captured: dict[tuple[int, int], Work] = {}

    def run(self, step: Step, count: int, source: int) -> None:
        """Run the step. This takes memory if the shape is new.

        `step` must always be the same; it is not stored, so that it can be freed with its search.
        """
        shape = count, source
        if shape not in self._captured:

            def work() -> None:
                step(count, source)

            rehearse(lambda: self._capture.warm_up(work), self._changed, self._over)
            self._captured[shape] = self._capture.capture(work)
        self._captured[shape]()


class CudaCapture:
    """Captures CUDA graphs.

    They share the memory for intermediate results: nothing in it outlives a step, so the order in
    which they are replayed does not matter.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def warm_up(self, work: Work) -> None:
        """Do the work once on the capture stream, because each stream has its own workspaces."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            work()
        current.wait_stream(self._stream)

    def capture(self, work: Work) -> Work:
        """Capture a graph of the work, which is not done."""
        graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.device(self._device),
            # Other threads of a service may allocate memory meanwhile, which is no matter here.
            torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ),
        ):
            work()
        return graph.replay


class NoCapture:
    """Uses work as its own graph, so that tests on a CPU run everything else."""

    def warm_up(self, work: Work) -> None:
        """Do the work once."""
        work()

    def capture(self, work: Work) -> Work:
        """The work itself."""
        return work


def rehearse(work: Work, changed: Sequence[Tensor], over: Tensor) -> None:
    """Do `work` several times, so that later nothing happens for the first time, and undo it.

    Args:
        work: a step.
        changed: the buffers that it reads and changes, including `over`. The history is not needed:
            what idle slots write into it is never read.
        over: which slots are idle.
    """
    before = [held.clone() for held in changed]
    over.fill_(True)
    for _ in range(WARM_UPS):
        work()
    for held, value in zip(changed, before, strict=True):
        held.copy_(value)
