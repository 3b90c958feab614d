"""What bounds a decoding step on a device: launches, memory traffic and arithmetic."""

# Shapes: R rows, S source length, H encoder output size, D decoder size, V vocabulary.

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile

from model.config import ModelConfig

LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaMemcpyAsync", "cudaMemsetAsync")
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
REPEATS = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a device, for products in one dtype."""

    launch_s: float
    """From one launch to the next of kernels that have nothing to do."""
    bytes_per_s: float
    """Read and written by a copy that fits no cache."""
    flops_per_s: float
    """Of a large matrix product."""

    def __str__(self) -> str:
        return (
            f"launch {1e6 * self.launch_s:.1f} us, copy {self.bytes_per_s / 1e9:,.0f} GB/s, "
            f"product {self.flops_per_s / 1e12:.2f} TFLOP/s"
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step needs at least, from its shapes."""

    bytes: float
    flops: float

    def roofline_s(self, limits: Limits) -> float:
        """The longer of the time for the memory traffic and the time for the arithmetic."""
        return max(self.bytes / limits.bytes_per_s, self.flops / limits.flops_per_s)


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Median time of `work`, until the device has done it."""
    taken = []
    for _ in range(REPEATS + 2):
        wait_for(device)
        started = time.perf_counter()
        work()
        wait_for(device)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[2:])


def wait_for(device: torch.device) -> None:
    """Until the device has done everything."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def limits_of(device: torch.device, dtype: torch.dtype, *, tiny: bool) -> Limits:
    """Measured now. `tiny` shows that it works, in no time."""
    launches, megabytes, size = (50, 1, 64) if tiny else (2000, 1024, 8192)
    if not tiny and device.type == "cpu":
        size = 1024
    one = torch.zeros(1, device=device)
    large = torch.zeros(megabytes * 2**20, dtype=torch.uint8, device=device)
    copy = torch.empty_like(large)
    a = torch.randn(size, size, device=device).to(dtype)

    def launch() -> None:
        for _ in range(launches):
            one.add_(1)

    return Limits(
        launch_s=seconds(launch, device) / launches,
        bytes_per_s=2 * large.numel() / seconds(lambda: copy.copy_(large), device),
        flops_per_s=2 * size**3 / seconds(lambda: a @ a, device),
    )


def step_cost(config: ModelConfig, dtype: torch.dtype, rows: int, beam: int, source: int) -> Cost:
    """Of the packed network: its products, and the attention over sources of `source` pieces.

    Gates that embeddings give are looked up, and a layer in front of the output is folded into it.
    """
    size, context, feeding = config.decoder_size, config.encoder_size, config.input_feeding
    weights = 0
    for layer in range(config.decoder_layers):
        taken = size if feeding or layer else 0
        if layer and not feeding:
            taken += context
        weights += GATES[config.cell] * size * (taken + size)
    narrow = config.tie_embeddings and not feeding
    features = config.embedding_size if narrow else size
    weights += features * (size + context) + config.vocab_size * features
    keys = context if config.attention == "dot" else size
    memory = source * (keys + context)  # of a sentence, in fp32
    return Cost(
        bytes=weights * dtype.itemsize + rows / beam * memory * 4,
        flops=2.0 * rows * (weights + memory),
    )


def launches_in(work: Callable[[], object], device: torch.device) -> int:
    """How many launches `work` takes; on a CPU, operators that call no others."""
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        work()
        wait_for(device)
    events = list(profiler.events() or [])
    if device.type == "cuda":
        # None where the profiler may not look; no division by it, then.
        return max(1, len([event for event in events if event.name.startswith(LAUNCHES)]))
    return len([event for event in events if not event.cpu_children])
