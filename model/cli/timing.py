"""Timing of the engine on pieces: full speed, latency under load, cold start."""

import os
import re
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.cli.start import ctrl_c_kept_from_children
from model.decoding.engine import Engine, room_for
from model.decoding.precision.precision import resolve_device, resolve_precision
from model.decoding.request import Finished, Request
from model.translator import SHORTEST_LIMIT


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """Where and how a model runs, and how many sentences are in flight at once."""

    run: Path
    device: str
    precision: str
    in_flight: int
    beam_size: int
    shortlist: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """The amount of output, and the time it took."""

    seconds: float
    sentences: int
    tokens: int
    """Pieces of the best hypotheses, without EOS."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Measurements of one load."""

    precision: str
    in_flight: int
    rows: int
    sentences: int
    """Sentences measured in each repeat."""
    sentences_per_s: float
    tokens_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    repeats_sentences_per_s: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ColdStart:
    """The cost of starting a process that translates. Bytes are 0 where the system does not tell.

    The process is cold, not the disk: files may be in the page cache of the system.
    """

    load_s: float
    """Seconds to read and verify the checkpoint and to make an engine from it."""
    start_s: float
    """Seconds from the start of the process to its first finished sentence, including the load."""
    resident_bytes: int
    """Memory in use after the first sentence."""
    peak_bytes: int
    """Most memory in use while all sentences of the load were translated."""


def source_limit(checkpoint: Checkpoint) -> int:
    """Most source pieces of a sentence, as in the `Translator`."""
    return max(checkpoint.config.max_length, SHORTEST_LIMIT)


def make_engine(checkpoint: Checkpoint, load: Workload) -> Engine:
    """Make an engine with as many slots as the load needs, each as large as in the `Translator`.

    Raises:
        ConfigError: there is no such device or precision.
    """
    device = resolve_device(load.device)
    limit = source_limit(checkpoint)
    return Engine(
        checkpoint.network,
        device=device,
        dtype=resolve_precision(cast(Any, load.precision), device, checkpoint.network),
        max_rows=load.in_flight * load.beam_size,
        max_source=limit,
        max_length=room_for(checkpoint.search, limit),
        shortlist=checkpoint.shortlist_if(load.shortlist),
    )


def measure(
    checkpoint: Checkpoint, loads: Sequence[Workload], requests: Sequence[Request], repeats: int
) -> Iterator[Figures]:
    """Measure each load. Loads take turns, so that a disturbance affects all of them."""
    engines = [make_engine(checkpoint, load) for load in loads]
    for engine, load in zip(engines, loads, strict=True):
        full_speed(engine, requests[: 2 * load.in_flight])  # the warm-up
    speeds = [[full_speed(engine, requests) for engine in engines] for _ in range(repeats)]
    waits = [
        [
            latencies(engine, requests, load.in_flight)
            for engine, load in zip(engines, loads, strict=True)
        ]
        for _ in range(repeats)
    ]
    for number, load in enumerate(loads):
        mine = [turn[number] for turn in speeds]
        percentiles = np.percentile(np.concatenate([turn[number] for turn in waits]), [50, 95, 99])
        p50, p95, p99 = (1000 * percentiles).tolist()
        rates = tuple(speed.sentences / speed.seconds for speed in mine)
        yield Figures(
            precision=load.precision,
            in_flight=load.in_flight,
            rows=load.in_flight * load.beam_size,
            sentences=len(requests),
            sentences_per_s=statistics.median(rates),
            tokens_per_s=statistics.median(speed.tokens / speed.seconds for speed in mine),
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            repeats_sentences_per_s=rates,
        )


def full_speed(engine: Engine, requests: Sequence[Request]) -> Speed:
    """Translate sentences that all wait from the start, longest first, as `dragoman-translate`."""
    started = time.perf_counter()
    for request in sorted(requests, key=lambda request: len(request.src), reverse=True):
        engine.add(request)
    sentences = tokens = 0
    while engine.busy:
        for event in engine.step():
            if isinstance(event, Finished):
                sentences += 1
                tokens += len(event.hypotheses[0].pieces)
    return Speed(seconds=time.perf_counter() - started, sentences=sentences, tokens=tokens)


def latencies(
    engine: Engine,
    requests: Sequence[Request],
    in_flight: int,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds from `add` to `Finished` of each request, with always `in_flight` sentences.

    As soon as one is finished, the next one is added. The first `in_flight` sentences, which all
    start together, are not measured, and after the last measured one others keep the engine full.
    """
    coming = cycle(requests)
    added: dict[int, tuple[int, float]] = {}  # id: number by order of arrival, and time
    found = [0.0] * len(requests)
    missing, number = len(requests), 0
    while missing:
        while len(added) < in_flight:
            now = clock()
            added[engine.add(next(coming))] = number, now
            number += 1
        for event in engine.step():
            if isinstance(event, Finished):
                place, since = added.pop(event.id)
                place -= in_flight
                if 0 <= place < len(requests):
                    found[place] = clock() - since
                    missing -= 1
    for id in added:
        engine.cancel(id)
    return found


def cold_start(load: Workload, requests: Sequence[Request]) -> ColdStart:
    """Load the model in a fresh process, translate one sentence, then all of them.

    Raises:
        DragomanError: loading raised it.
    """
    threads = torch.get_num_threads()
    with ProcessPoolExecutor(
        max_workers=1,
        mp_context=get_context("spawn"),
        initializer=_take_ctrl_c,
    ) as process:
        with ctrl_c_kept_from_children():
            started = process.submit(_start, load, requests, threads, time.monotonic())
        return started.result()


def _take_ctrl_c() -> None:
    """Let Ctrl-C end the fresh process, without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _start(load: Workload, requests: Sequence[Request], threads: int, launched: float) -> ColdStart:
    """Run in the fresh process. Monotonic clocks agree between the processes of a machine."""
    torch.set_num_threads(threads)
    loading = time.monotonic()
    engine = make_engine(load_checkpoint(load.run), load)
    loaded = time.monotonic()
    full_speed(engine, requests[:1])
    first = time.monotonic()
    resident = _memory("VmRSS")
    full_speed(engine, requests)
    return ColdStart(
        load_s=loaded - loading,
        start_s=first - launched,
        resident_bytes=resident,
        peak_bytes=_memory("VmHWM"),
    )


def _memory(name: str) -> int:
    """A figure of the process in bytes; 0 where the system does not tell it (not Linux)."""
    status = Path(f"/proc/{os.getpid()}/status")
    if not status.exists():
        return 0
    found = re.search(rf"^{name}:\s+(\d+) kB$", status.read_text(), flags=re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
