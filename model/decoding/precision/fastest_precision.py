"""Fastest precision of a network on this CPU: measured once, then cached for the machine.

A step of the decoder and its output layer is measured, with the rows of one sentence and of many.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from model.config import to_dict
from model.decoding.native.compiled import sources_digest
from model.decoding.native.network import Buffers, NativeNetwork
from model.decoding.native.step_rows import StepRows
from model.decoding.precision.dtypes import Precision
from model.decoding.precision.precision_cache import quickest
from model.decoding.torch.inference_network import InferenceNetwork
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID

SENTENCES, BEAM, SOURCE = (1, 32), 5, 16
WARM_UP, REPEATS = 3, 9


def fastest_precision(
    network: Seq2Seq, candidates: Sequence[Precision], folder: Path | None = None
) -> Precision:
    """The fastest of `candidates`, from the cache or measured; see `quickest`."""
    return quickest(
        candidates,
        lambda precision: seconds_of(network, precision),
        sizes=json.dumps([to_dict(network.config), sources_digest()], sort_keys=True),
        folder=folder,
    )


@torch.inference_mode()
def seconds_of(network: Seq2Seq, precision: Precision) -> float:
    """Seconds of a step at one sentence plus a step at 32 for each of its sentences, beam 5."""
    total = 0.0
    for sentences in SENTENCES:
        if precision == "int8":
            step = _native_step(NativeNetwork(network), sentences)
        else:
            dtype = torch.float32 if precision == "fp32" else torch.bfloat16
            step = _packed_step(InferenceNetwork(network, dtype), sentences)
        taken = []
        for _ in range(WARM_UP + REPEATS):
            started = time.perf_counter()
            step()
            taken.append(time.perf_counter() - started)
        total += statistics.median(taken[WARM_UP:]) / sentences
    return total


def _packed_step(network: InferenceNetwork, sentences: int) -> Callable[[], object]:
    src = torch.full((sentences, SOURCE), network.config.vocab_size - 1)
    memory = network.encode(src, torch.full((sentences,), SOURCE))
    state = network.start(memory).select(torch.arange(sentences).repeat_interleave(BEAM))
    token = src[:, :BEAM].contiguous()

    def step() -> None:
        _, features, weights = network.step(token, state, memory)
        network.log_scores(features, weights, memory)

    return step


def _native_step(network: NativeNetwork, sentences: int) -> Callable[[], object]:
    rows = sentences * BEAM
    memory = network.memory(sentences, SOURCE)
    memory.length[:] = SOURCE
    own = np.arange(rows, dtype=np.int32)
    now = StepRows(np.full(rows, EOS_ID, np.int32), own, own // BEAM, own)
    old, new, buffers = (
        network.state(rows, SOURCE),
        network.state(rows, SOURCE),
        Buffers(network, rows, SOURCE),
    )
    weights = np.zeros((rows, SOURCE), np.float32)
    logits = np.zeros((rows, network.output.width), np.float32)

    def step() -> None:
        network.step(rows, now, old, new, memory, weights, buffers)
        network.output(new.attentional, rows, logits)

    return step
