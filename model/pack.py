"""dragoman-pack: writes a checkpoint into one small file."""

if __name__ == "__main__":  # before the imports, which take seconds
    from model import commands

    commands.pack()

import argparse
from pathlib import Path

from model.checkpoint.archive import SUFFIX
from model.checkpoint.checkpoint import load_checkpoint, packed
from model.cli.command import OK, add_run_argument, command_parser, run_command
from model.cli.paths import checkpoint_places, refuse_overwriting
from model.decoding.precision.dtypes import PRECISIONS, Precision
from model.errors import ConfigError
from model.io.lines import atomic_output

NAME = "dragoman-pack"

DESCRIPTION = """\
Write a checkpoint into one file with everything that translation needs: weights, tokenizer, search
options, shortlist and card, without the state of the training. All commands and the server take it
in place of a RUN. By default the weights are in int8, a quarter of their size. The same checkpoint
always gives the same bytes."""

EXAMPLE = """\
examples:
  dragoman-pack runs/demo --output demo.dragoman
  echo 'Guten Morgen!' | dragoman-translate demo.dragoman"""


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run_command(NAME, lambda: _pack(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(NAME, DESCRIPTION, EXAMPLE)
    add_run_argument(parser)
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        required=True,
        help=f"the file to write; its name ends in {SUFFIX}",
    )
    parser.add_argument(
        "--weights",
        choices=PRECISIONS,
        help="number format of the weights in the file (default: int8, of vectors fp32); engines "
        "of every precision can read each",
    )
    return parser


def _pack(arguments: argparse.Namespace) -> int:
    run, output = arguments.run, arguments.output
    if output.suffix != SUFFIX:
        raise ConfigError(f"--output {output}: its name must end in {SUFFIX}. Give such a name.")
    refuse_overwriting(checkpoint_places("RUN", [run]), [("--output", output)])
    checkpoint = load_checkpoint(run)
    vectors = checkpoint.config.has_vectors
    weights: Precision = arguments.weights or ("fp32" if vectors else "int8")
    if vectors and weights == "int8":
        raise ConfigError(
            "--weights: int8 is for text and symbols, not for vectors. Use fp32 or bf16."
        )
    content = packed(checkpoint, weights)
    with atomic_output(output) as file:
        file.write(content)
    print(f"{output}: {len(content):,} bytes, weights in {weights}")
    return OK
