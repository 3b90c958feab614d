"""dragoman-bench: measures how fast a model translates on this machine."""

if __name__ == "__main__":  # before the imports, which take seconds
    from model import commands

    commands.bench()

import argparse
import importlib.metadata
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import cycle, islice

import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.cli.command import (
    OK,
    add_machine_arguments,
    add_run_argument,
    add_shortlist_argument,
    command_parser,
    input_lines,
    positive,
    run_command,
)
from model.cli.paths import checkpoint_places, refuse_overwriting
from model.cli.report import add_report_argument, report_places, table, write_report
from model.cli.timing import ColdStart, Figures, Workload, cold_start, measure, source_limit
from model.decoding.options import SearchOptions
from model.decoding.precision.dtypes import PRECISIONS
from model.decoding.precision.precision import precisions_of, resolve_device
from model.decoding.request import Request
from model.errors import DataError
from model.text.segmentation import Segmenter
from model.text.tokenizer import EOS_ID
from model.translation.assemble import cut_text

NAME = "dragoman-bench"

DESCRIPTION = """\
Measure how fast a model translates, pieces in and pieces out, through the engine that translates
and serves. For each precision, and each number of sentences that are in flight at once:

  sentences/s, tokens/s   all sentences wait from the start, as in dragoman-translate; the tokens
                          are target pieces; medians of the repeats
  p50, p95, p99           from handing in a sentence to its result, with always so many in flight,
                          as in a service under full load; over the sentences of all repeats

and for each precision what a fresh process takes: to load the checkpoint, to its first finished
sentence, the memory it holds then, and the most it holds at the highest number in flight.

One sentence has beam_size rows. Precisions alternate within a repeat. A warm-up is not counted."""

EXAMPLE = """\
examples:
  dragoman-bench runs/demo --input test.de
  dragoman-bench runs/demo --beam-size 1 --in-flight 1,32 --precision fp32 --threads 1

Without --input, sentences are random pieces, 8 to 24 of them, and each translation is as long as
its source: such figures compare models and machines, not languages."""

LEAST, FOR_EACH = 100, 8
"""Sentences of a measurement: the least number, and the number for each one in flight."""

RANDOM_SENTENCES, SHORTEST, LONGEST, SEED = 256, 8, 24, 0

MIB = 2**20


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run_command(NAME, lambda: _bench(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(NAME, DESCRIPTION, EXAMPLE)
    add_run_argument(parser)
    add_machine_arguments(parser)
    add_shortlist_argument(parser)
    parser.add_argument(
        "--input",
        metavar="FILE",
        help="lines of text to translate, decompressed if it ends in .gz or .zst; - is standard "
        "input",
    )
    parser.add_argument(
        "--beam-size", metavar="N", type=positive, help="default: that of decoding.json"
    )
    parser.add_argument(
        "--in-flight",
        metavar="N,N,...",
        type=_counts,
        default=[1, 4, 16, 32],
        help="sentences at once (default: 1,4,16,32)",
    )
    parser.add_argument(
        "--precision",
        metavar="P,P,...",
        type=_precisions,
        help=f"of {','.join(PRECISIONS)} (default: all that this model has)",
    )
    parser.add_argument(
        "--sentences",
        metavar="N",
        type=positive,
        help="measured each time, from the beginning of the input and over again (default: "
        f"{FOR_EACH} for each one in flight, {LEAST} at least)",
    )
    parser.add_argument("--repeats", metavar="N", type=positive, default=5, help="default: 5")
    add_report_argument(parser)
    return parser


def _counts(text: str) -> list[int]:
    try:
        return sorted({positive(part) for part in text.split(",")})
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers like 1,16") from error


def _precisions(text: str) -> list[str]:
    names = list(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in PRECISIONS:
            allowed = ", ".join(PRECISIONS)
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {allowed}")
    return names


def _bench(arguments: argparse.Namespace) -> int:
    refuse_overwriting(
        [("--input", arguments.input), *checkpoint_places("RUN", [arguments.run])],
        report_places(arguments.json),
    )
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    device = resolve_device(arguments.device)
    checkpoint = load_checkpoint(arguments.run)
    check_text(checkpoint)
    checkpoint.shortlist_if(arguments.shortlist)  # may raise, so before anything is measured
    beam_size = arguments.beam_size or checkpoint.search.beam_size
    search = replace(checkpoint.search, beam_size=beam_size, n_best=1)
    if arguments.input is None:
        requests = random_requests(checkpoint, search)
    else:
        requests = _requests(checkpoint, search, arguments.input)
    conditions = {
        "checkpoint": str(checkpoint.path),
        "digest": checkpoint.digest,
        "input": arguments.input or "random pieces",
        "beam_size": beam_size,
        "shortlist": arguments.shortlist,
        "repeats": arguments.repeats,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "dragoman": importlib.metadata.version("dragoman"),
    }
    described = ", ".join(f"{name} {value}" for name, value in conditions.items())
    print(f"{NAME}: {described}", file=sys.stderr)
    lines: list[Figures] = []
    for in_flight in arguments.in_flight:
        loads = [
            Workload(
                run=checkpoint.path,
                device=arguments.device,
                precision=precision,
                in_flight=in_flight,
                beam_size=beam_size,
                shortlist=arguments.shortlist,
            )
            for precision in arguments.precision or precisions_of(checkpoint.config)
        ]
        count = arguments.sentences or max(LEAST, FOR_EACH * in_flight)
        measured = list(islice(cycle(requests), count))
        lines += measure(checkpoint, loads, measured, arguments.repeats)
        print(f"{NAME}: {in_flight} in flight is measured", file=sys.stderr)
    starts = {load.precision: cold_start(load, measured) for load in loads}
    figures = {
        "conditions": conditions,
        "speed": [asdict(line) for line in lines],
        "cold_start": {precision: asdict(start) for precision, start in starts.items()},
    }
    write_report(_tables(lines, starts), figures, arguments.json)
    return OK


def check_text(checkpoint: Checkpoint) -> None:
    """Check that it is a model of text, which alone is measured.

    Raises:
        CheckpointError: it is not.
    """
    _ = checkpoint.tokenizer


def _requests(checkpoint: Checkpoint, search: SearchOptions, name: str) -> list[Request]:
    """Requests for a file, or standard input for `-`, whose lines are cut as by the Translator.

    Raises:
        DataError: the input cannot be read, or is blank.
    """
    segmenter = Segmenter(checkpoint.tokenizer, source_limit(checkpoint), checkpoint.profile)
    plans = (cut_text(segmenter, line, search) for line in input_lines(name))
    requests = [Request(src=src, options=search) for plan in plans for src in plan.sources]
    if not requests:
        raise DataError(f"{name}: has no text. Give lines to translate.")
    return requests


def random_requests(checkpoint: Checkpoint, search: SearchOptions) -> list[Request]:
    """Requests with random pieces, always the same, with translations as long as the sources.

    The translation of nonsense may never end: fixed lengths make the work comparable.
    """
    rng = random.Random(SEED)
    longest = min(LONGEST, source_limit(checkpoint))
    requests = []
    for _ in range(RANDOM_SENTENCES):
        length = rng.randint(SHORTEST, longest)
        pieces = range(EOS_ID + 1, checkpoint.config.vocab_size)
        options = replace(search, min_length=length, max_length_a=0.0, max_length_b=length)
        requests.append(Request(src=tuple(rng.choices(pieces, k=length)), options=options))
    return requests


def _tables(lines: Sequence[Figures], starts: Mapping[str, ColdStart]) -> str:
    """Both tables; the first is sorted by precision and then by sentences in flight."""
    order = list(starts)
    speed = table(
        ["precision", "in flight", "rows", "sentences/s", "tokens/s", "p50 ms", "p95 ms", "p99 ms"],
        [
            [
                line.precision,
                f"{line.in_flight:,}",
                f"{line.rows:,}",
                f"{line.sentences_per_s:,.1f}",
                f"{line.tokens_per_s:,.0f}",
                *(f"{ms:,.1f}" for ms in (line.p50_ms, line.p95_ms, line.p99_ms)),
            ]
            for line in sorted(lines, key=lambda line: order.index(line.precision))
        ],
    )
    cold = table(
        ["precision", "load s", "first sentence s", "resident MiB", "peak MiB"],
        [
            [
                precision,
                f"{start.load_s:.2f}",
                f"{start.start_s:.2f}",
                f"{start.resident_bytes / MIB:,.0f}",
                f"{start.peak_bytes / MIB:,.0f}",
            ]
            for precision, start in starts.items()
        ],
    )
    return f"{speed}\n{cold}"
