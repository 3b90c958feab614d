"""Auto batch size: the largest batch that fits into memory, for `run.batch_tokens: auto`.

Batches of growing size are computed, forward and backward, and the memory that each needs is
measured. The longest sentences that the model takes fill them, because attention makes these the
costliest ones: what fits here fits with any data. A teacher and risk training take part: samples
of a network that has learned nothing are as long as they may be, so they are the costliest, too.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from model.decoding.available_memory import available_bytes
from model.decoding.out_of_memory import is_out_of_memory
from model.errors import ConfigError
from model.network.seq2seq import Seq2Seq
from model.text.vocabulary import Vocabulary
from training.config.train_config import TrainConfig
from training.data.batching import LENGTH_MULTIPLE, ROW_MULTIPLE, Rows, collate
from training.losses.batch_loss import BatchLoss, Objective
from training.losses.make_objective import make_objective
from training.system.distributed import World
from training.system.memory_use import peak_bytes

MOST_TOKENS = 131_072
"""Larger batches seldom train better in the same time; they must be given as a number."""

SHARE = 0.8  # of the memory; the rest is for validations, and for holes between tensors
# What an update holds in addition to what is measured, in fp32: gradients, two moments, the
# average, a copy of it for validation, and the buffers of the exchange between processes.
BYTES_PER_PARAMETER = 6 * 4


def auto_batch_tokens(
    config: TrainConfig,
    tokenizer: Vocabulary,
    device: torch.device,
    dtype: torch.dtype,
    world: World,
) -> int:
    """Find the largest `run.batch_tokens` that fits into the memory of every process.

    Args:
        config: with the tokenizer's vocabulary size.

    Raises:
        ConfigError: not even the smallest batch fits, or the system does not say what there is; or
            as `make_objective`.
        CheckpointError: the teacher cannot be loaded.
    """
    room = available_bytes(device)
    if not room:
        raise ConfigError("run.batch_tokens: auto needs Linux or a GPU. Give a number.")
    if device.type != "cuda":
        room //= world.local_size
    parts = world.size * config.run.accumulate
    width = 2 * -(-(config.model.max_length + 1) // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
    # The measurement must not advance the random numbers of the run.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        network = Seq2Seq(config.model).train().to(device)
        network.encoder.truncated_bptt = config.run.truncated_bptt
        # Alignments are a table of the corpus, of about the same size with any batch.
        measured = replace(config, objective=replace(config.objective, guided_alignment=0.0))
        objective = make_objective(measured, lambda: ([], []), tokenizer, device)
        fixed = BYTES_PER_PARAMETER * sum(parameter.numel() for parameter in network.parameters())
        if objective.teacher is not None:
            fixed += sum(weight.nbytes for weight in objective.teacher.parameters())
        need = _need(network, objective, config, dtype)
        rows = largest_rows(need, SHARE * room - fixed, max(MOST_TOKENS // width // parts, 1))
    rows = -world.highest(-rows)
    if not rows:
        raise ConfigError(
            f"run.batch_tokens: auto finds no batch that fits into {room / 1e9:.1f} GB with "
            f"sentences of {config.model.max_length} pieces. Lower model.max_length, make the "
            "model smaller, or give a number."
        )
    return rows * parts * width


def largest_rows(need: Callable[[int], float], room: float, most: int) -> int:
    """Find the most rows, up to `most`, whose `need` is at most `room`; 0 if there are none.

    `need` should grow in a straight line from about 0. It is asked for growing numbers of rows
    only, and never where the line so far is above `room`: on a CPU the process that takes too much
    memory is killed, without an error to learn from.
    """
    rows = min(ROW_MULTIPLE, most)
    needed = need(rows)
    if needed > room:
        return 0
    slope = needed / rows
    while rows < most:
        more = min(2 * rows, most, _down(rows + (room - needed) / slope))
        if more <= rows:
            break
        next_needed = need(more)
        if next_needed > room:
            break
        slope = max((next_needed - needed) / (more - rows), 1.0)
        rows, needed = more, next_needed
    return rows


def _down(rows: float) -> int:
    return int(rows // ROW_MULTIPLE) * ROW_MULTIPLE


def _need(
    network: Seq2Seq, objective: Objective, config: TrainConfig, dtype: torch.dtype
) -> Callable[[int], float]:
    """Make a function from rows to bytes, gradients excluded; infinity if they do not fit."""
    loss, device = BatchLoss(network, objective, dtype), network.device
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    sentence = np.full(config.model.max_length, config.model.vocab_size - 1, np.int32)

    def need(rows: int) -> float:
        def update() -> None:
            batch = collate(Rows.unweighted([sentence] * rows, [sentence] * rows)).to(device)
            loss(batch, config.run.max_steps or 1).smoothed.backward()

        try:
            return peak_bytes(update, device)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return math.inf

    return need
