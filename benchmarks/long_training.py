"""Time and peak memory of one update on long sources, with `run.truncated_bptt` and without.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.long_training
    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.long_training --pieces 1000 2000    (a try)

Four pairs of random pieces, all sources of the same length, targets of 30; random weights, on the
CPU in fp32. Each row is a process of its own: a warm-up on short sources, then forward and backward
once. Seconds are of processor time, so that other programs matter less; memory is what the process
takes in addition to what it held before. Linux only.
"""

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch

from model.config import ModelConfig
from model.network.seq2seq import Seq2Seq
from training.data.batching import Rows, collate
from training.losses.batch_loss import Objective, batch_loss
from training.system.memory_use import bound_kernel_cache, peak_bytes

PAIRS, TARGET, VOCABULARY = 4, 30, 8000
WARM_UP = 600


def alone(config: ModelConfig, *, pairs: int, pieces: int, chunk: int) -> tuple[float, int]:
    """Take `measure` in a process of its own."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as process:
        return process.submit(measure, config, pairs, pieces, chunk).result()


def measure(config: ModelConfig, pairs: int, pieces: int, chunk: int) -> tuple[float, int]:
    """Seconds and bytes of an update on sources of `pieces`, in chunks of `chunk`; 0: whole."""
    bound_kernel_cache()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = Seq2Seq(config).train()
    network.encoder.truncated_bptt = chunk
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    chance = np.random.default_rng(0)
    seconds = 0.0

    def update(length: int) -> None:
        nonlocal seconds
        sources, targets = (
            [chance.integers(4, config.vocab_size, size - 1, np.int32) for _ in range(pairs)]
            for size in (length, TARGET)
        )
        batch = collate(Rows.unweighted(sources, targets))
        started = time.process_time()
        loss = batch_loss(network, batch, Objective(smoothing=0.1), step=1, dtype=torch.float32)
        loss.smoothed.backward()  # type: ignore[no-untyped-call]
        seconds = time.process_time() - started

    update(WARM_UP)
    peak = peak_bytes(lambda: update(pieces), torch.device("cpu"))
    return seconds, peak


def main() -> int:
    """Print a row for each length, without chunks and with."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pieces", type=int, nargs="+", default=[4000, 16_000])
    parser.add_argument("--truncated-bptt", type=int, nargs="+", default=[0, 512])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=256, help="of embeddings, encoder and decoder")
    given = parser.parse_args()
    config = ModelConfig(
        vocab_size=VOCABULARY,
        embedding_size=given.width,
        encoder_layers=given.layers,
        encoder_size=given.width,
        decoder_size=given.width,
        input_feeding=False,
    )
    for pieces in given.pieces:
        for chunk in given.truncated_bptt:
            seconds, peak = alone(config, pairs=PAIRS, pieces=pieces, chunk=chunk)
            print(
                f"{pieces:6,} pieces, truncated_bptt {chunk:4}: {seconds:6.1f} s, "
                f"peak {peak / 1e6:6,.0f} MB",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
