"""Decoding on a GPU: speed at several numbers of rows, and whether results stay the same."""

import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from benchmarks.gpu_limits import Limits, launches_in, step_cost, wait_for
from model.decoding.beam_search import Hypothesis
from model.decoding.cuda.launch import FLAGS_EVERY, StepLaunch
from model.decoding.engine import Engine
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import cast, precision_of
from model.decoding.request import Finished, Request
from model.decoding.torch.inference_network import InferenceNetwork
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID

WAYS = {
    "eager": StepLaunch(),
    "graphs": StepLaunch(flags_every=FLAGS_EVERY, bucketed=True, captured=True, encode_ahead=True),
}
BEAM, REPEATS = 5, 3
HEADER = (
    *("speed", "precision", "rows", "way", "sentences/s", "tokens/s", "ms/step", "launches/step"),
    *("x launch bound", "x roofline"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is measured where."""

    device: torch.device
    rows: tuple[int, ...]
    pieces: int
    """Of each source, and of its translation."""
    deadline: float
    """By `time.monotonic`: what comes later is left out."""
    tiny: bool

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self.deadline


def packed(network: Seq2Seq, dtype: torch.dtype, device: torch.device) -> InferenceNetwork:
    """As the engine packs it: once for all engines of a measurement."""
    return InferenceNetwork(cast(network, torch.float32, device), dtype)


def sources(network: InferenceNetwork, lengths: list[int]) -> list[tuple[int, ...]]:
    """Random pieces."""
    chance = random.Random(1)
    vocab = network.config.vocab_size
    return [tuple(chance.randrange(EOS_ID + 1, vocab) for _ in range(n)) for n in lengths]


def engine_of(network: InferenceNetwork, way: StepLaunch, rows: int, pieces: int) -> Engine:
    """An engine with as much room as is needed."""
    return Engine(
        network,
        max_rows=rows,
        max_source=pieces,
        max_length=max(pieces, 2 * pieces + 10),
        launch=way,
    )


def run(engine: Engine, requests: list[Request]) -> tuple[dict[int, tuple[Hypothesis, ...]], int]:
    """The hypotheses of all requests, in their order from 0, and how many steps it took."""
    first = min([engine.add(request) for request in requests])
    found, steps = {}, 0
    while engine.busy:
        events = engine.step()
        found.update({e.id - first: e.hypotheses for e in events if isinstance(e, Finished)})
        steps += 1
    return found, steps


def speed_rows(
    name: str, network: Seq2Seq, dtype: torch.dtype, limits: Limits, plan: Plan
) -> Iterator[list[str]]:
    """Lines of the table of speeds, for one network in one precision."""
    on_device = packed(network, dtype, plan.device)
    for rows in plan.rows:
        launches = launches_in_a_step(on_device, rows, plan)
        for way, launch in WAYS.items():
            if plan.late:
                yield [name, precision_of(dtype), str(rows), way, "left out: no time", *[""] * 5]
                continue
            rates = measured(on_device, launch, rows, launches, limits, plan)
            yield [name, precision_of(dtype), str(rows), way, *rates]


def same_length(network: InferenceNetwork, count: int, pieces: int) -> list[Request]:
    """Requests whose translations all have so many pieces."""
    options = SearchOptions(
        beam_size=BEAM, min_length=pieces, max_length_a=0, max_length_b=pieces, alpha=0
    )
    return [Request(src=src, options=options) for src in sources(network, [pieces] * count)]


def measured(
    network: InferenceNetwork,
    way: StepLaunch,
    rows: int,
    launches: float,
    limits: Limits,
    plan: Plan,
) -> list[str]:
    """The figures of a line: medians, with the encoder and everything else in the time."""
    slots = max(1, rows // BEAM)
    requests = same_length(network, 2 * slots, plan.pieces)
    engine = engine_of(network, way, rows, plan.pieces)
    run(engine, requests)  # captures what there is to capture
    taken, steps = [], 0
    for _ in range(1 if plan.tiny else REPEATS):
        wait_for(plan.device)
        started = time.perf_counter()
        _, steps = run(engine, requests)
        taken.append(time.perf_counter() - started)
    total = statistics.median(taken)
    # Steps that extend something: the others only wait for flags.
    step_s = total / (2 * (plan.pieces + 1))
    assert steps >= 2 * (plan.pieces + 1)
    cost = step_cost(network.config, network.dtype, slots * BEAM, BEAM, plan.pieces + 1)
    return [
        f"{len(requests) / total:,.1f}",
        f"{len(requests) * plan.pieces / total:,.0f}",
        f"{1e3 * step_s:.3f}",
        f"{launches:,.0f}",
        f"{step_s / (launches * limits.launch_s):.2f}",
        f"{step_s / cost.roofline_s(limits):.2f}",
    ]


def launches_in_a_step(network: InferenceNetwork, rows: int, plan: Plan) -> float:
    """Of the eager step, with all slots full and nobody joining or leaving."""
    engine = engine_of(network, WAYS["eager"], rows, plan.pieces)
    for request in same_length(network, max(1, rows // BEAM), plan.pieces):
        engine.add(request)
    engine.step()  # encodes
    engine.step()
    return launches_in(engine.step, plan.device)


def check_rows(name: str, network: Seq2Seq, dtype: torch.dtype, plan: Plan) -> Iterator[list[str]]:
    """Whether a sentence's results depend on its company, and on the way of stepping."""
    on_device = packed(network, dtype, plan.device)
    chance = random.Random(2)
    lengths = [chance.randint(1, plan.pieces) for _ in range(6 if plan.tiny else 40)]
    options = SearchOptions(beam_size=BEAM, max_length_a=1, max_length_b=2)
    requests = [Request(src=src, options=options) for src in sources(on_device, lengths)]
    results = {
        way: run(engine_of(on_device, launch, 20 * BEAM, plan.pieces), requests)[0]
        for way, launch in WAYS.items()
    }
    alone = {}
    engine = engine_of(on_device, WAYS["graphs"], 20 * BEAM, plan.pieces)
    for number, request in enumerate(requests):
        alone[number] = run(engine, [request])[0][0]
    title = f"{name}, {precision_of(dtype)}"
    yield [f"{title}: alone = in company", agreement(alone, results["graphs"])]
    yield [f"{title}: eager = graphs", agreement(results["eager"], results["graphs"])]


def agreement(
    some: dict[int, tuple[Hypothesis, ...]], others: dict[int, tuple[Hypothesis, ...]]
) -> str:
    """How many best translations are equal, how many to the bit, how far scores are apart."""
    pairs = [(some[number][0], others[number][0]) for number in some]
    equal = [(one, other) for one, other in pairs if one.pieces == other.pieces]
    exact = sum(one == other for one, other in equal)
    apart = max((abs(one.score - other.score) for one, other in equal), default=0.0)
    return (
        f"{len(equal)} of {len(pairs)} have equal pieces, {exact} equal scores to the bit; "
        f"scores of equal pieces differ by {apart:.1e} at most"
    )


def memory_row(network: Seq2Seq, plan: Plan) -> list[str]:
    """What happens to far too many slots in little memory."""
    title = "out of memory"
    if plan.device.type != "cuda":
        return [title, "not tried: no CUDA device (tests/model/decoding/test_out_of_memory.py)"]
    on_device = packed(network, torch.bfloat16, plan.device)
    requests = same_length(on_device, 64, plan.pieces)
    expected, _ = run(engine_of(on_device, WAYS["graphs"], 64 * BEAM, plan.pieces), requests)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(plan.device).total_memory
    room = torch.cuda.memory_reserved(plan.device) + 2 * 2**30
    # Of the current device: this function refuses one without a number, like "cuda".
    torch.cuda.set_per_process_memory_fraction(min(1.0, room / total))
    try:
        engine = engine_of(on_device, WAYS["graphs"], 2_000_000, plan.pieces)
        found, _ = run(engine, requests)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    slots = next(iter(engine._lanes.values())).slots
    return [
        title,
        f"400,000 slots wanted in 2 GiB: went on with {slots:,}; {len(found)} of 64 sentences "
        f"finished; {agreement(expected, found)}",
    ]
