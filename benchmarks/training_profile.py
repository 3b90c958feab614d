"""Where the time of a training update goes: shares of the operators, by torch.profiler.

    DRAGOMAN_DATA=... taskset -c 0 python -m benchmarks.training_profile [section.key=value ...]

configs/multi30k_en_de.yaml without input feeding and R-Drop, on one thread. The rate counts 6
operations for each use of a weight by a piece (not by padding), and is compared with products of
large matrices in fp32 and, where the processor has it, in bf16, measured just before. A share is of
the time spent in an operator itself, what it calls not counted; the profiler makes an update a
little slower.
"""

import itertools
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.machine import gflops
from model.network.cells import cpu_computes_bf16
from model.network.seq2seq import Seq2Seq
from training.config.train_config import load_config
from training.loop.build_session import build_session
from training.loop.trainer import Update
from training.system.distributed import World

CONFIG = Path("configs/multi30k_en_de.yaml")
WARM_UP, COUNTED, ROWS = 40, 20, 24


def main() -> int:
    """Print tokens/s without the profiler, then one line for each operator."""
    overrides = ["model.input_feeding=false", "objective.rdrop=0.0", "run.threads=1", *sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_session(
            load_config(CONFIG, overrides),
            Path(folder),
            resume=False,
            world=World(),
            started=time.monotonic(),
        ).trainer
        batches = trainer.batches()
        for batch in itertools.islice(batches, WARM_UP):
            trainer.update(batch)
        # Without instructions for bf16 a product in it is a loop that nobody would use.
        dtypes = [torch.float32] + [torch.bfloat16] * cpu_computes_bf16()
        rates = {dtype: matrix_gflops(dtype) for dtype in dtypes}
        started, tokens, operations = time.perf_counter(), 0, 0.0
        for batch in itertools.islice(batches, COUNTED):
            update = trainer.update(batch)
            tokens += update.source_tokens + update.target_tokens
            operations += weight_operations(trainer.network, update)
        seconds = time.perf_counter() - started
        print(
            f"{tokens / seconds:,.0f} tokens/s in {trainer.dtype}, "
            f"{1e3 * seconds / COUNTED:.0f} ms an update"
        )
        achieved = operations / seconds / 1e9
        for dtype, rate in rates.items():
            print(f"{achieved:.0f} GFLOP/s: {achieved / rate:.0%} of {rate:.0f} in {dtype}")
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            for batch in itertools.islice(batches, COUNTED):
                trainer.update(batch)
    averages = profiler.key_averages()
    total = sum(row.self_cpu_time_total for row in averages)
    for row in sorted(averages, key=lambda row: -row.self_cpu_time_total)[:ROWS]:
        milliseconds = row.self_cpu_time_total / 1e3 / COUNTED
        print(
            f"{row.self_cpu_time_total / total:6.1%}  {milliseconds:7.2f} ms  "
            f"{row.count // COUNTED:5d} calls  {row.key}"
        )
    return 0


def matrix_gflops(dtype: torch.dtype) -> float:
    """The rate of a large matrix product."""
    a, b = torch.randn(2048, 1024).to(dtype), torch.randn(1024, 2048).to(dtype)
    return gflops(lambda: a @ b, 2 * 2048 * 1024 * 2048)


def weight_operations(network: Seq2Seq, update: Update) -> float:
    """FLOP of the products of an update: forward, for the inputs, and for the weights."""
    encoder = sum(p.numel() for p in network.encoder.parameters() if p.dim() == 2)
    decoder = sum(p.numel() for p in network.decoder.parameters() if p.dim() == 2)
    decoder += network.output.weight.numel()
    return 6.0 * (encoder * update.source_tokens + decoder * update.target_tokens)


if __name__ == "__main__":
    sys.exit(main())
