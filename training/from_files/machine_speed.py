"""Machine speed: source and target pieces that this machine trains on in a second."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from model.config import ModelConfig
from model.decoding.precision.dtypes import BY_NAME, Precision
from model.network.cells import cpu_computes_bf16
from model.network.seq2seq import Seq2Seq
from training.data.batching import Rows, collate
from training.losses.batch_loss import Objective, batch_loss

WARM_UP, REPEATS = 1, 2
WORTH_A_THREAD = 1.15  # twice the threads must be this much faster
OVERHEAD = 1.15  # of the whole update over its two passes: optimizer, average, next batch


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """The fastest way to train a network here."""

    pieces_per_s: float
    threads: int
    precision: Precision
    """fp32 or bf16."""


def measure_speed(
    model: ModelConfig,
    *,
    batch_tokens: int,
    source_pieces: float,
    target_pieces: float,
    device: torch.device,
    cores: int,
) -> Speed:
    """Time updates with one thread, then with twice as many as long as that pays; in seconds.

    Args:
        source_pieces: mean length; the batch has sentences of that length only.
        cores: threads that may be used.
    """
    precisions: list[Precision] = ["fp32"]
    if device.type == "cuda":
        precisions = ["bf16"]
    elif cpu_computes_bf16():
        precisions.append("bf16")
    rows = max(int(batch_tokens / (source_pieces + target_pieces + 2)), 1)
    lengths = (max(round(source_pieces), 1), max(round(target_pieces), 1))
    sentences = [[np.full(n, model.vocab_size - 1, np.int32)] * rows for n in lengths]
    batch = collate(Rows.unweighted(*sentences)).to(device)
    network = Seq2Seq(model).train().to(device)
    pieces = rows * sum(lengths) / OVERHEAD

    def rate(precision: Precision) -> float:
        taken = []
        for _ in range(WARM_UP + REPEATS):
            network.zero_grad(set_to_none=True)
            started = time.perf_counter()
            loss = batch_loss(
                network, batch, Objective(smoothing=0.1), step=1, dtype=BY_NAME[precision]
            )
            loss.smoothed.backward()  # type: ignore[no-untyped-call]
            loss.nll.item()  # waits for a GPU
            taken.append(time.perf_counter() - started)
        return pieces / min(taken[WARM_UP:])

    torch.set_num_threads(1)
    rates = {precision: rate(precision) for precision in precisions}
    precision = max(rates, key=lambda name: rates[name])
    best, threads = rates[precision], 1
    while 2 * threads <= cores and device.type == "cpu":
        torch.set_num_threads(2 * threads)
        more = rate(precision)
        if more < WORTH_A_THREAD * best:
            break
        best, threads = more, 2 * threads
    return Speed(pieces_per_s=best, threads=threads, precision=precision)
