"""Where the time of a decoding step goes, at 1, 16 and 160 rows: milliseconds a step.

    taskset -c 0 python -m benchmarks.step_profile RUN [--precision int8]

Operators are told apart by name (torch.profiler, which makes them a little slower); Python is what
is left of the time of the whole step, measured without the profiler. All slots are full of
sentences of 15 pieces.
"""

import argparse
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from model.checkpoint import load_checkpoint
from model.decoding.engine import Engine, Request
from model.decoding.formats import PRECISIONS, Precision
from model.decoding.options import SearchOptions
from model.decoding.precision import BY_NAME
from model.network.seq2seq import Seq2Seq

ROWS = {1: 1, 16: 1, 160: 5}  # rows in all, and beam size
STEPS, SOURCE = 12, 15
PARTS = {
    "products": ("qlinear_pointwise", "aten::mm", "aten::addmm"),
    "attention": ("aten::bmm", "aten::_softmax", "aten::masked_fill_"),
    "normalisation": ("aten::_log_softmax", "aten::logsumexp"),
    "top-k": ("aten::topk", "aten::amax", "aten::gather"),
    "gates and narrowing": (
        *("aten::sigmoid", "aten::sigmoid_", "aten::tanh", "aten::addcmul", "aten::mul"),
        *("aten::mul_", "aten::sub_", "aten::add", "aten::add_", "aten::copy_", "aten::cat"),
    ),
}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--precision", choices=PRECISIONS, default="int8")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    network = load_checkpoint(arguments.run).network
    print(f"{'rows':24}" + "".join(f"{rows:>9}" for rows in ROWS))
    columns = [column(network, arguments.precision, *setting) for setting in ROWS.items()]
    for part in columns[0]:
        print(f"{part:24}" + "".join(f"{1e3 * values[part]:9.3f}" for values in columns))
    return 0


def column(network: Seq2Seq, precision: Precision, rows: int, beam: int) -> dict[str, float]:
    """Seconds of each part of a step."""
    engine = Engine(network, dtype=BY_NAME[precision], max_rows=rows)
    total = steps_of(engine, rows // beam, beam, nullcontext())
    profiler = profile(activities=[ProfilerActivity.CPU])
    steps_of(engine, rows // beam, beam, profiler)
    found = {part: 0.0 for part in PARTS} | {"other operators": 0.0}
    for operator in profiler.key_averages():
        part = next((p for p, names in PARTS.items() if named(operator.key, names)), None)
        found[part or "other operators"] += operator.self_cpu_time_total / 1e6 / STEPS
    return found | {"Python": total - sum(found.values()), "all": total}


def named(operator: str, names: tuple[str, ...]) -> bool:
    """Whether an operator is one of `names`."""
    return operator in names or operator.removeprefix("onednn::") in names


def steps_of(
    engine: Engine, sentences: int, beam: int, watched: AbstractContextManager[object]
) -> float:
    """Mean seconds of `STEPS` steps with all slots full, none of which ends a sentence."""
    options = SearchOptions(beam_size=beam, min_length=STEPS + 4)
    ids = [engine.add(Request(src=(100 + i,) * SOURCE, options=options)) for i in range(sentences)]
    engine.step()  # encodes
    engine.step()
    with watched:
        started = time.perf_counter()
        for _ in range(STEPS):
            engine.step()
        seconds = time.perf_counter() - started
    for id in ids:
        engine.cancel(id)
    engine.step()
    return seconds / STEPS


if __name__ == "__main__":
    sys.exit(main())
