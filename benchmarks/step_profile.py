"""Where the time of a decoding step goes, at 1, 16 and 160 rows: milliseconds a step.

    taskset -c 0 python -m benchmarks.step_profile RUN [--precision int8] [--shortlist]

In int8 it is kernels that are told apart by name (cProfile), in fp32 and bf16 operators
(torch.profiler); both make them a little slower. Python is what is left of the time of the whole
step, measured without a profiler. All slots are full of sentences of 15 pieces.
"""

import argparse
import cProfile
import statistics
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.engine import Engine, Request
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.options import SearchOptions
from model.decoding.precision.dtypes import BY_NAME, PRECISIONS, Precision
from model.network.seq2seq import Seq2Seq

ROWS = {1: 1, 16: 1, 160: 5}  # rows in all, and beam size
STEPS, SOURCE, REPEATS = 12, 15, 5
KERNELS = {
    "products": ("multiply", "list_logits"),
    "attention": ("scores_by_product", "scores_by_sum", "attend"),
    "normalisation and top-k": ("best_extensions",),
    "gates": ("lstm", "gru", "rnn", "add_table"),
    "rows and narrowing": ("place_rows", "place_narrow", "place_tanh"),
    "bookkeeping": ("list_rows", "keep"),
}
OPERATORS = {
    "products": ("aten::mm", "aten::addmm"),
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
    parser.add_argument("--shortlist", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(arguments.run)
    shortlist = checkpoint.shortlist_if(arguments.shortlist)
    print(f"{'rows':24}" + "".join(f"{rows:>9}" for rows in ROWS))
    columns = [
        column(checkpoint.network, arguments.precision, shortlist, *setting)
        for setting in ROWS.items()
    ]
    for part in columns[0]:
        print(f"{part:24}" + "".join(f"{1e3 * values[part]:9.3f}" for values in columns))
    return 0


def column(
    network: Seq2Seq, precision: Precision, shortlist: Shortlist | None, rows: int, beam: int
) -> dict[str, float]:
    """Seconds of each part of a step, medians of `REPEATS`."""
    engine = Engine(network, dtype=BY_NAME[precision], max_rows=rows, shortlist=shortlist)
    parts = by_kernel if precision == "int8" else by_operator
    runs = []
    for _ in range(REPEATS):
        total = steps_of(engine, rows // beam, beam, nullcontext())
        found = parts(engine, rows // beam, beam)
        runs.append(found | {"Python": total - sum(found.values()), "all": total})
    return {part: statistics.median(run[part] for run in runs) for part in runs[0]}


def by_kernel(engine: Engine, sentences: int, beam: int) -> dict[str, float]:
    """Seconds of the kernels of a step."""
    profiler = cProfile.Profile()
    steps_of(engine, sentences, beam, profiler)
    found = {part: 0.0 for part in KERNELS}
    for entry in profiler.getstats():
        # Kernels that are bound to types show up as "<built-in method MODULE.NAME>".
        name = getattr(entry.code, "co_name", str(entry.code).rpartition(".")[2].rstrip(">"))
        for part, names in KERNELS.items():
            if name in names:
                found[part] += entry.inlinetime / STEPS
    return found


def by_operator(engine: Engine, sentences: int, beam: int) -> dict[str, float]:
    """Seconds of the operators of a step."""
    profiler = profile(activities=[ProfilerActivity.CPU])
    steps_of(engine, sentences, beam, profiler)
    found = {part: 0.0 for part in OPERATORS} | {"other operators": 0.0}
    for operator in profiler.key_averages():
        part = next((p for p, names in OPERATORS.items() if operator.key in names), None)
        found[part or "other operators"] += operator.self_cpu_time_total / 1e6 / STEPS
    return found


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
