"""Auto precision: the one that trains fastest on this CPU, measured once for each machine.

bf16 halves what the matrix products read, but its fused LSTM is not the faster one everywhere: on
some CPUs that have bf16 instructions fp32 trains 1.5 times as fast. So both are tried.
"""

import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from model.config import to_dict
from model.decoding.precision.dtypes import BY_NAME, Precision
from model.decoding.precision.precision import resolve_precision
from model.decoding.precision.precision_cache import quickest
from model.network.cells import cpu_computes_bf16
from model.network.seq2seq import Seq2Seq
from training.config.train_config import TrainConfig
from training.data.batching import Batch, Rows, collate
from training.losses.batch_loss import Objective, batch_loss

LENGTH = 15  # pieces of a measured sentence on either side; 16 with EOS
MOST_TOKENS = 4096  # of the measured batch: enough for a decision, within seconds
WARM_UP, REPEATS = 1, 3


def training_dtype(
    config: TrainConfig, device: torch.device, folder: Path | None = None
) -> torch.dtype:
    """Resolve `run.precision`; `auto` on a CPU is the fastest for this network and batch.

    Args:
        config: with the tokenizer's vocabulary size.
        folder: for the results of measurements; the user's cache if None.
    """
    name = config.run.precision
    if name != "auto" or device.type != "cpu" or not cpu_computes_bf16():
        return resolve_precision(name, device)
    return BY_NAME[fastest_training(config, folder)]


def fastest_training(config: TrainConfig, folder: Path | None = None) -> Precision:
    """Choose fp32 or bf16, whichever is faster for a forward and a backward pass."""
    sizes = {"training": to_dict(config.model), "batch_tokens": _tokens(config)}
    return quickest(
        ("fp32", "bf16"),
        lambda precision: seconds_of_update(config, precision),
        sizes=json.dumps(sizes, sort_keys=True),
        folder=folder,
    )


def seconds_of_update(config: TrainConfig, precision: Precision) -> float:
    """Time a forward and a backward pass over a batch like those of the run."""
    # The measurement must not advance the random numbers of the run.
    with torch.random.fork_rng(devices=[]):
        network = Seq2Seq(config.model).train()
        batch, objective = _batch(config), Objective(smoothing=0.1)
        taken = []
        for _ in range(WARM_UP + REPEATS):
            network.zero_grad(set_to_none=True)
            started = time.perf_counter()
            loss = batch_loss(network, batch, objective, step=1, dtype=BY_NAME[precision])
            loss.smoothed.backward()  # type: ignore[no-untyped-call]
            taken.append(time.perf_counter() - started)
    return statistics.median(taken[WARM_UP:])


def _tokens(config: TrainConfig) -> int:
    wanted = config.run.batch_tokens  # auto depends on the precision: it is found later
    return MOST_TOKENS if wanted == "auto" else min(wanted, MOST_TOKENS)


def _batch(config: TrainConfig) -> Batch:
    rows = max(_tokens(config) // (2 * LENGTH + 2), 1)
    sentences = [np.full(LENGTH, config.model.vocab_size - 1, np.int32)] * rows
    return collate(Rows.unweighted(sentences, sentences))
