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
from collections.abc import Sequence
from pathlib import Path

import torch

from model.config import to_dict
from model.decoding.packed import PackedNetwork
from model.decoding.products import Precision
from model.errors import DataError
from model.network.seq2seq import Seq2Seq
from model.text.lines import atomic_output

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
    packed = PackedNetwork(network, precision)
    total = 0.0
    for sentences in SENTENCES:
        src = torch.full((sentences, SOURCE), network.config.vocab_size - 1)
        memory = packed.encode(src, torch.full((sentences,), SOURCE))
        state = packed.start(memory).select(torch.arange(sentences).repeat_interleave(BEAM))
        token = src[:, :BEAM].contiguous()
        taken = []
        for _ in range(WARM_UP + REPEATS):
            started = time.perf_counter()
            _, features, weights = packed.step(token, state, memory)
            packed.log_scores(features, weights, memory)
            taken.append(time.perf_counter() - started)
        total += statistics.median(taken[WARM_UP:]) / sentences
    return total


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
    parts = (cpu, torch.__version__, torch.get_num_threads(), sizes, "/".join(candidates))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _read(file: Path) -> dict[str, object]:
    try:
        known = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
