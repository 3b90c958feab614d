"""What the machine can do: a matrix product in fp32, bf16 and int8, a fused LSTM in fp32 and bf16.

OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.machine
"""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from model.decoding.native.product import Int8Product

REPEATS = 5


def gflops(work: Callable[[], object], operations: float) -> float:
    """Median rate of `work`, which does so many floating-point operations."""
    seconds = []
    for _ in range(REPEATS + 2):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return operations / statistics.median(seconds[2:]) / 1e9


def lstm_step(layer: torch.nn.LSTM, x: torch.Tensor, dtype: torch.dtype) -> None:
    """Forward and backward of a whole sequence."""
    layer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        outputs, _ = layer(x)
    outputs.float().sum().backward()


def main() -> int:
    """Print one line for each precision."""
    torch.set_num_threads(1)
    rows, steps, size = 128, 16, 512
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.randn(2048, 1024).to(dtype), torch.randn(1024, 2048).to(dtype)
        product = gflops(lambda a=a, b=b: a @ b, 2 * 2048 * 1024 * 2048)  # type: ignore[misc]
        layer = torch.nn.LSTM(size, size, batch_first=True)
        x = torch.randn(rows, steps, size, requires_grad=True)
        operations = 6 * rows * steps * 4 * size * 2 * size
        lstm = gflops(
            lambda x=x, layer=layer, dtype=dtype: lstm_step(layer, x, dtype),  # type: ignore[misc]
            operations,
        )
        print(f"{dtype}: matrix product {product:.0f} GFLOP/s, LSTM {lstm:.0f} GFLOP/s", flush=True)
    random = np.random.default_rng(0)
    weight = random.standard_normal((2048, 1024), dtype=np.float32)
    in_int8 = Int8Product(weight, np.zeros(2048, np.float32))
    out = np.empty((160, 2048), np.float32)
    for count in (160, 1):
        given = random.integers(1, 256, (count, 1024), dtype=np.uint8)
        product = gflops(
            lambda given=given, count=count: in_int8(given, count, out),  # type: ignore[misc]
            2 * count * 1024 * 2048,
        )
        print(f"int8: product of {count} rows {product:.0f} GOP/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
