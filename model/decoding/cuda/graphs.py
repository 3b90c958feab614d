"""Graphs: how a step is launched, kernel by kernel or as one captured CUDA graph.

A graph is a step of one shape with the addresses of everything that it reads and writes; to replay
it is one launch. So a step must read and write fixed buffers only, and the shapes must be few.

Not captured are steps with rules, whose operations depend on the sentences, and the steps of a lane
with shortlists, whose buffers are replaced as lists of other lengths come.
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
    """Something that lets a step happen."""

    def run(self, step: Step, count: int, source: int) -> None: ...


class PlainRunner:
    """Calls the step."""

    def run(self, step: Step, count: int, source: int) -> None:
        """Let the step happen."""
        step(count, source)


class Capture(Protocol):
    """How work is captured."""

    def warm_up(self, work: Work) -> None:
        """Do the work once, where it will be captured."""
        ...

    def capture(self, work: Work) -> Work:
        """What does the work again. It may or may not be done meanwhile."""
        ...


class CapturedRunner:
    """Captures the step when a shape is new, and replays it from then on."""

    def __init__(self, capture: Capture, changed: Sequence[Tensor], over: Tensor) -> None:
        """See `rehearse` for the buffers."""
        self._capture, self._changed, self._over = capture, changed, over
        self._captured: dict[tuple[int, int], Work] = {}

    def run(self, step: Step, count: int, source: int) -> None:
        """Let the step happen. Takes memory when the shape is new.

        It is always the same step: one that is held here could not be freed with its search.
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

    They share the memory for what is computed in between: nothing in it outlives a step, so the
    order in which they are replayed does not matter.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def warm_up(self, work: Work) -> None:
        """Do the work once, on the stream of the capture: libraries make workspaces for each."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            work()
        current.wait_stream(self._stream)

    def capture(self, work: Work) -> Work:
        """A graph of the work, which is not done meanwhile."""
        graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.device(self._device),
            # Other threads of a service may allocate memory meanwhile: no concern of the capture.
            torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ),
        ):
            work()
        return graph.replay


class NoCapture:
    """For the CPU, where work stands for its own graph: so tests run everything around it."""

    def warm_up(self, work: Work) -> None:
        """Do the work once."""
        work()

    def capture(self, work: Work) -> Work:
        """The work itself."""
        return work


def rehearse(work: Work, changed: Sequence[Tensor], over: Tensor) -> None:
    """Do `work` some times, so that nothing is done for the first time later, and undo it.

    Args:
        work: a step.
        changed: the buffers that it reads and changes, `over` among them. The history need not be
            here: of slots that rest nothing is written into it that is read.
        over: which slots rest.
    """
    before = [held.clone() for held in changed]
    over.fill_(True)
    for _ in range(WARM_UPS):
        work()
    for held, value in zip(changed, before, strict=True):
        held.copy_(value)
