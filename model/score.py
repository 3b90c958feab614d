"""dragoman-score: computes the probability of given translations by forced decoding."""

if __name__ == "__main__":  # before the imports, which take seconds
    from model import commands

    commands.score()

import argparse
import math
import sys
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path

import torch

from model.cli.command import (
    OK,
    STREAM,
    add_model_arguments,
    command_parser,
    load_model,
    open_output,
    run_command,
)
from model.cli.paths import checkpoint_places, refuse_overwriting
from model.decoding.precision.precision import cast
from model.errors import ConfigError, DataError
from model.io.lines import read_lines
from model.io.progress import bar_fits, line_progress
from model.translation.pair_scores import score_texts
from model.translator import WINDOW, windows

NAME = "dragoman-score"

DESCRIPTION = """\
Score given translations with a trained model. For each pair of lines, one line of two columns
with a tab between them: the natural logarithm of the probability of the target line, and its
number of pieces. Both count the end of the sentence, so a blank target line has one piece.
The perplexity of the corpus, per piece, is written to standard error. No line is cut, whatever
its length. White space at the ends of a line does not count. The score is that of the search,
log_prob, before any length penalty. It is computed in fp32 unless --precision says otherwise;
in bf16, that of the search and this one are about 0.01 a piece apart."""

EXAMPLE = """\
example:
  dragoman-score runs/demo --source test.de --target test.en > scores.tsv"""


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run_command(NAME, lambda: _score(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(NAME, DESCRIPTION, EXAMPLE)
    add_model_arguments(parser)
    parser.set_defaults(precision="fp32", shortlist=False)
    for side in ("source", "target"):
        parser.add_argument(
            f"--{side}",
            metavar="FILE",
            type=Path,
            required=True,
            help=f"{side} lines, UTF-8, gzip if it ends in .gz",
        )
    parser.add_argument(
        "--output",
        metavar="FILE",
        default=STREAM,
        help="appears when it is complete, or not at all; - or nothing is standard output",
    )
    return parser


def _score(arguments: argparse.Namespace) -> int:
    refuse_overwriting(
        [
            ("--source", arguments.source),
            ("--target", arguments.target),
            *checkpoint_places("RUN", [arguments.run]),
        ],
        [("--output", arguments.output)],
    )
    model = load_model(NAME, arguments)
    if model.dtype == torch.int8:
        raise ConfigError("--precision int8: scores are computed in fp32 or bf16. Use one of them.")
    network = cast(model.checkpoint.network, model.dtype, model.device)
    tokenizer, profile = model.checkpoint.tokenizer, model.checkpoint.profile
    total = sum(1 for _ in read_lines(arguments.source)) if bar_fits() else None
    lines = pieces = 0
    log_prob = 0.0
    with open_output(arguments.output) as output, line_progress(NAME, total) as advance:
        for window in windows(_pairs(arguments.source, arguments.target), WINDOW):
            sources, targets = zip(*window, strict=True)
            for score in score_texts(network, tokenizer, profile, sources, targets):
                count = len(score.pieces) + 1  # with EOS
                output.write(f"{score.log_prob:.6f}\t{count}\n".encode())
                pieces += count
                log_prob += score.log_prob
            output.flush()
            lines += len(window)
            advance(len(window))
        if not lines:
            raise DataError(f"{arguments.source}: has no lines. Give text to score.")
    print(
        f"{NAME}: {lines:,} lines, {pieces:,} pieces with the ends of sentences, log-probability "
        f"{log_prob:.2f}, perplexity {math.exp(-log_prob / pieces):.3f} per piece",
        file=sys.stderr,
    )
    return OK


def _pairs(source: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Pairs of lines.

    Raises:
        DataError: one file has more lines than the other.
    """
    firsts, seconds = read_lines(source), read_lines(target)
    for count, (first, second) in enumerate(zip_longest(firsts, seconds)):
        if first is None or second is None:
            unpaired = 1 + sum(1 for _ in chain(firsts, seconds))  # one of them is at its end
            longer, shorter = (source, target) if second is None else (target, source)
            raise DataError(
                f"{longer} has {count + unpaired} lines, but {shorter} has {count}. "
                "Give files whose lines belong together."
            )
        yield first, second
