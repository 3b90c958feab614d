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
from training.from_files.choose_settings import BATCH_TOKENS, Setting, Statistics
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

    def settings(self) -> list[Setting]:
        """What follows from it."""
        told = f"{self.pieces_per_s:,.0f} pieces/s here"
        return [
            Setting("run.eval_every", "auto", "eight validations, fewer if they are slow"),
            Setting("run.threads", self.threads, f"measured: {told}, more threads are no faster"),
            Setting("run.precision", self.precision, "measured: the faster one here"),
        ]


def measure_speed(
    model: ModelConfig, statistics: Statistics, device: torch.device, *, cores: int
) -> Speed:
    """Time updates with one thread, then with twice as many as long as that pays; in seconds.

    Args:
        statistics: the batch has only sentences of their mean length.
        cores: threads that may be used.
    """
    precisions: list[Precision] = ["fp32"]
    if device.type == "cuda":
        precisions = ["bf16"]
    elif cpu_computes_bf16():
        precisions.append("bf16")
    means = (statistics.source_pieces, statistics.target_pieces)
    rows = max(int(BATCH_TOKENS / (sum(means) + 2)), 1)
    lengths = [max(round(mean), 1) for mean in means]
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
