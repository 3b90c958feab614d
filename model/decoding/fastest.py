"""Which precision is fastest for a network on this CPU: measured once, remembered for the machine.

What counts is a step of the decoder with its output layer, at one sentence's rows and at many.
"""

import contextlib
import hashlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from model.config import to_dict
from model.decoding.formats import Precision
from model.decoding.native.compiled import sources_digest
from model.decoding.native.network import Buffers, Memory, NativeNetwork, Step
from model.decoding.packed import PackedNetwork
from model.errors import DataError
from model.network.seq2seq import Seq2Seq
from model.text.lines import atomic_output
from model.text.tokenizer import EOS_ID

SENTENCES, BEAM, SOURCE = (1, 32), 5, 16
WARM_UP, REPEATS = 3, 9


def fastest_precision(
    network: Seq2Seq, candidates: Sequence[Precision], folder: Path | None = None
) -> Precision:
    """The fastest of `candidates`, from `folder` (default: the user's cache) or by measurement.

    A folder that cannot be read or written only means that the next load measures again.
    """
    file = (folder or _cache_folder()) / "precision.json"
    machine = _machine(network, candidates)
    known = _read(file)
    found = known.get(machine)
    for precision in candidates:
        if precision == found:
            return precision
    seconds = {precision: seconds_of(network, precision) for precision in candidates}
    best = min(candidates, key=lambda precision: seconds[precision])
    with contextlib.suppress(OSError, DataError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_output(file) as output:
            output.write(json.dumps(known | {machine: best}, indent=1).encode())
    return best


@torch.inference_mode()
def seconds_of(network: Seq2Seq, precision: Precision) -> float:
    """Seconds of a step at one sentence plus a step at 32 for each of its sentences, beam 5."""
    total = 0.0
    for sentences in SENTENCES:
        if precision == "int8":
            step = _native_step(NativeNetwork(network), sentences)
        else:
            dtype = torch.float32 if precision == "fp32" else torch.bfloat16
            step = _packed_step(PackedNetwork(network, dtype), sentences)
        taken = []
        for _ in range(WARM_UP + REPEATS):
            started = time.perf_counter()
            step()
            taken.append(time.perf_counter() - started)
        total += statistics.median(taken[WARM_UP:]) / sentences
    return total


def _packed_step(network: PackedNetwork, sentences: int) -> Callable[[], object]:
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
    memory = Memory(
        np.zeros((sentences, SOURCE, network.config.encoder_size), np.float32),
        np.zeros((sentences, SOURCE, network.key_width), np.float32),
        np.full(sentences, SOURCE, np.int32),
    )
    own = np.arange(rows, dtype=np.int32)
    now = Step(rows, np.full(rows, EOS_ID, np.int32), own, own // BEAM, own)
    old, new, buffers = network.state(rows), network.state(rows), Buffers(network, rows, SOURCE)
    weights = np.zeros((rows, SOURCE), np.float32)
    logits = np.zeros((rows, network.output.width), np.float32)

    def step() -> None:
        network.step(now, old, new, memory, weights, buffers)
        network.output(new.attentional, rows, logits)

    return step


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    # Not Path.home(), which raises where nobody has a home: then nothing can be kept there.
    return Path(base or os.path.expanduser("~/.cache")) / "dragoman"


def _machine(network: Seq2Seq, candidates: Sequence[Precision]) -> str:
    """What the answer depends on, as a key."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(errors="replace").splitlines()
        cpu = " ".join(sorted({line for line in lines if line.startswith(("model", "flags"))}))
    sizes = json.dumps(to_dict(network.config), sort_keys=True)
    parts = (
        cpu,
        sources_digest(),
        torch.__version__,
        torch.get_num_threads(),
        sizes,
        "/".join(candidates),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _read(file: Path) -> dict[str, object]:
    try:
        known = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
