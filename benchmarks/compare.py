"""Before and after: a commit and this checkout, compared by one measure, in alternating rounds.

python -m benchmarks.compare BASE decoding RUN [--input FILE] [--precision P ...]
python -m benchmarks.compare BASE service RUN [--clients N] [--seconds S]
python -m benchmarks.compare BASE training [--updates N] [section.key=value ...]
python -m benchmarks.compare BASE start
python -m benchmarks.compare BASE bits RUN [--input FILE] [--precision P ...]
python -m benchmarks.compare BASE bits-training [--updates N] [section.key=value ...]
"""

import argparse
import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from benchmarks.tree_bits import Equality, translations, weights
from benchmarks.tree_speed import Decoding, Rates, Service, Start, Training
from benchmarks.tree_training import write_pairs
from benchmarks.trees import Tree, Trees, commit_of, is_changed, trees
from benchmarks.turns import Comparison, alternate
from model.cli.command import OK, command_parser, input_lines, positive, run_command
from model.cli.report import add_report_argument, table, write_report
from model.decoding.precision.dtypes import PRECISIONS
from model.errors import DataError
from training.demo.demo_corpus import generate

NAME = "benchmarks.compare"
ROOT = Path(__file__).resolve().parents[1]
DIFFERENT = 1
"""The exit status, if bits are."""
GENERATED = 500
"""Sentences of the demo, where no others are given."""

Measure = Callable[[Tree], Rates]

DESCRIPTION = """\
Compare a commit of this repository with this checkout as it is, changes that are not committed
included. BASE is checked out in a temporary folder; each side runs in processes of its own, with
this Python and its packages.

  decoding       sentences/s of Translator.translate, all at once and one at a time
  service        requests/s of dragoman-serve over HTTP
  training       updates/s of dragoman-train with the config of the demo, in fp32
  start          processes begun in a minute of processor time: the library, a command
  bits           whether dragoman-translate writes the same translations, pieces and scores
  bits-training  whether dragoman-train gives the same weights

A speed is told as the median of all rounds, the least and the most. After a warm-up of both, rounds
are taken as BASE, here, here, BASE, BASE, here and so on. base/base and here/here are how far one
round of a side was from its next, at most: if here/base is no further from 1 than the larger of
them, there is no difference that this measurement could tell. Exit status 1: the bits
are different; 2: a mistake, or a command of one of the sides failed."""

EXAMPLE = """\
examples:
  python -m benchmarks.compare main bits runs/demo
  python -m benchmarks.compare HEAD~3 decoding runs/demo --core 0"""


def main(argv: list[str] | None = None, *, root: Path = ROOT) -> int:
    """The command; returns its exit status.

    Args:
        root: of the checkout that is compared with a commit of it.
    """
    return run_command(NAME, lambda: _compare(command_line().parse_args(argv), root))


def command_line() -> argparse.ArgumentParser:
    """A subcommand for each measure."""
    parser = command_parser(NAME, DESCRIPTION, EXAMPLE)
    parser.add_argument("base", metavar="BASE", help="a commit, a branch, a tag")
    measures = parser.add_subparsers(dest="measure", metavar="MEASURE", required=True)
    for name in ("decoding", "service", "training", "start", "bits", "bits-training"):
        measure = measures.add_parser(name, allow_abbrev=False)
        add = measure.add_argument
        if "training" in name:
            add("--updates", type=positive, default=100, help="that count (default: 100)")
            add("overrides", nargs="*", metavar="section.key=value", help="of the config")
        elif name != "start":
            add("run", type=Path, metavar="RUN", help="a run or a checkpoint that both can load")
            add("--input", metavar="FILE", help="lines of text (default: sentences of the demo)")
            listed = list(PRECISIONS) if name == "bits" else ["int8"]
            add("--precision", nargs="+", choices=PRECISIONS, default=listed)
        if name == "service":
            add("--clients", type=positive, default=4, help="default: 4")
        if name in ("decoding", "service"):
            add("--seconds", type=_seconds, default=5.0, help="of each figure (default: 5)")
        if "bits" not in name:
            add("--rounds", type=_rounds, default=5, help="2 or more (default: 5)")
        add("--core", type=int, metavar="N", help="pin the processes that are measured to this one")
        add("--threads", type=positive, default=1, help="of torch (default: 1)")
        add_report_argument(measure)
    return parser


def _rounds(text: str) -> int:
    number = positive(text)
    if number < 2:
        raise argparse.ArgumentTypeError("one round does not tell what chance does, use 2 or more")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no time, use a number above 0")
    return number


def _compare(arguments: argparse.Namespace, root: Path) -> int:
    commit = commit_of(root, arguments.base)
    given = {name: str(value) for name, value in vars(arguments).items() if name != "json"}
    conditions = given | {
        "commit": commit,
        "here": commit_of(root, "HEAD") + (" with changes" if is_changed(root) else ""),
        "torch": torch.__version__,
    }
    texts = _texts(arguments.input) if hasattr(arguments, "input") else []
    core, threads = arguments.core, arguments.threads
    with (
        tempfile.TemporaryDirectory(prefix="dragoman-compare-") as name,
        trees(root, commit, core=core, threads=threads) as both,
    ):
        folder = Path(name)
        if "training" in arguments.measure:
            write_pairs(folder)
        if "bits" in arguments.measure:
            equalities = _equalities(arguments, both, texts, folder)
        else:
            comparisons = compare_speed(
                both, _measure(arguments, both, texts, folder), arguments.rounds
            )
    if "bits" in arguments.measure:
        figures = {"conditions": conditions, "bits": list(map(asdict, equalities))}
        write_report(_bits_table(equalities), figures, arguments.json)
        return DIFFERENT if any(one.different for one in equalities) else OK
    rows = [
        asdict(row) | {"ratio": row.ratio, "noise": row.noise, "within": row.within}
        for row in comparisons
    ]
    write_report(
        speed_table(comparisons), {"conditions": conditions, "speed": rows}, arguments.json
    )
    return OK


def _texts(name: str | None) -> list[str]:
    """Lines that are not blank.

    Raises:
        DataError: the input cannot be read, or is blank.
    """
    if name is None:
        return [pair.source for pair in generate(1, GENERATED, 0).train]
    texts = [line for line in input_lines(name) if line.strip()]
    if not texts:
        raise DataError(f"{name}: has no text. Give lines to translate.")
    return texts


def _config(both: Trees) -> Path:
    """One that both sides can read, presumably: that of the older one."""
    return both.base.folder / "configs" / "demo.yaml"


def _equalities(
    arguments: argparse.Namespace, both: Trees, texts: Sequence[str], folder: Path
) -> list[Equality]:
    threads = arguments.threads
    if arguments.measure == "bits":
        run = arguments.run.resolve()
        return [
            translations(both, run, precision, texts, folder, threads=threads)
            for precision in arguments.precision
        ]
    updates, overrides = arguments.updates, tuple(arguments.overrides)
    return [
        weights(both, _config(both), folder, updates=updates, threads=threads, overrides=overrides)
    ]


def _measure(
    arguments: argparse.Namespace, both: Trees, texts: Sequence[str], folder: Path
) -> Measure:
    """What takes one round of a tree."""
    if arguments.measure == "training":
        return Training(
            config=_config(both),
            folder=folder,
            updates=arguments.updates,
            threads=arguments.threads,
            overrides=tuple(arguments.overrides),
        ).measure
    if arguments.measure == "start":
        return Start().measure
    run = arguments.run.resolve()
    if arguments.measure == "service":
        return Service(
            run=run,
            precisions=arguments.precision,
            threads=arguments.threads,
            texts=texts,
            clients=arguments.clients,
            seconds=arguments.seconds,
        ).measure
    file = folder / "texts"
    file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return Decoding(
        run=run,
        precisions=arguments.precision,
        threads=arguments.threads,
        texts=file,
        seconds=arguments.seconds,
    ).measure


def compare_speed(both: Trees, measure: Measure, rounds: int) -> list[Comparison]:
    """Every figure of both sides, after a warm-up of each; what comes in is told on stderr."""
    for tree in both:
        measure(tree)
        print(f"{NAME}: {tree.name} is warm", file=sys.stderr)
    found = alternate({tree.name: partial(_told, measure, tree) for tree in both}, rounds)
    base, here = found[both.base.name], found[both.here.name]
    return [
        Comparison(
            name=name,
            base=tuple(rates[name] for rates in base),
            here=tuple(rates[name] for rates in here),
        )
        for name in base[0]
    ]


def _told(measure: Measure, tree: Tree) -> Rates:
    rates = measure(tree)
    told = "; ".join(f"{rate:,.1f} {name}" for name, rate in rates.items())
    print(f"{NAME}: {tree.name} {told}", file=sys.stderr)
    return rates


def speed_table(comparisons: Sequence[Comparison]) -> str:
    """Medians, spreads and ratios, and whether the ratios say anything."""
    return table(
        ["", "base", "min-max", "here", "min-max", "here/base", "base/base", "here/here", ""],
        [
            [
                row.name,
                *_shown(row.base),
                *_shown(row.here),
                f"{row.ratio:.3f}",
                *(f"{noise:.3f}" for noise in row.noise),
                "no difference" if row.within else "faster" if row.ratio > 1 else "slower",
            ]
            for row in comparisons
        ],
    )


def _shown(rates: Sequence[float]) -> tuple[str, str]:
    return f"{statistics.median(rates):,.1f}", f"{min(rates):,.1f}-{max(rates):,.1f}"


def _bits_table(equalities: Sequence[Equality]) -> str:
    return table(
        ["", "compared", "different", ""],
        [
            [one.name, f"{one.compared:,}", f"{one.different:,}", one.first or "equal"]
            for one in equalities
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
