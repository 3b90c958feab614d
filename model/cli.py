"""What the commands share: flags, the model they load, one-line errors and exit statuses."""

import argparse
import errno
import importlib.metadata
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, NoReturn, get_args, get_origin, get_type_hints

import torch

from model.checkpoint import Checkpoint, load_checkpoint
from model.config import from_dict, to_dict
from model.decoding.options import SearchOptions
from model.decoding.precision import resolve_device, resolve_precision
from model.errors import ConfigError, DataError, DragomanError
from model.text.lines import atomic_output, iter_lines, read_lines

OK, MISTAKE = 0, 2
INTERRUPTED, PIPE_CLOSED, TERMINATED = 130, 141, 143  # 128 + SIGINT, SIGPIPE, SIGTERM

STREAM = "-"  # the name of standard input and standard output

SEARCH_HELP = {
    "beam_size": "hypotheses kept side by side: 1 is greedy search, more is slower, often better",
    "n_best": "translations for each line, at most the beam size; above 1 needs --format jsonl",
    "length_penalty": "what log-probabilities are divided by, so that short output is not favoured",
    "alpha": "exponent of the length penalty: more favours longer output, 0 is no penalty",
    "min_length": "pieces that a translation has at least",
    "max_length_a": "a translation has at most A * source pieces + B pieces; this is A",
    "max_length_b": "this is B",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedModel:
    """A checkpoint and where to run it."""

    checkpoint: Checkpoint
    device: torch.device
    dtype: torch.dtype


class _Parser(argparse.ArgumentParser):
    """Reports a wrong flag as every other mistake is reported."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}. See {self.prog} --help.")


def command_parser(name: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser that knows --help and --version; flags cannot be abbreviated."""
    parser = _Parser(
        prog=name,
        description=description,
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version(parser)
    return parser


def add_version(parser: argparse.ArgumentParser) -> None:
    """--version."""
    version = f"{parser.prog} {importlib.metadata.version('dragoman')}"
    parser.add_argument("--version", action="version", version=version)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """RUN, and where and how to compute."""
    parser.add_argument(
        "run",
        metavar="RUN",
        type=Path,
        help="output directory of dragoman-train (its best checkpoint) or one of its checkpoints",
    )
    parser.add_argument(
        "--device", default="auto", help="auto (CUDA where there is one), cpu, cuda or cuda:N"
    )
    parser.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16"],
        default="auto",
        help="number format of the network (default: %(default)s); auto is bf16 where the device "
        "computes in it",
    )
    parser.add_argument(
        "--threads", metavar="N", type=_positive, help="CPU threads (default: one for each core)"
    )


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """One flag for each of the `SearchOptions`."""
    group = parser.add_argument_group(
        "search options", "Without a flag, what the checkpoint was saved with (decoding.json)."
    )
    for name, hint in get_type_hints(SearchOptions).items():
        flag = f"--{name.replace('_', '-')}"
        if get_origin(hint) is Literal:
            group.add_argument(flag, choices=get_args(hint), help=SEARCH_HELP[name])
        else:
            metavar = "N" if hint is int else "X"
            group.add_argument(flag, metavar=metavar, type=hint, help=SEARCH_HELP[name])


def search_options(arguments: argparse.Namespace, defaults: SearchOptions) -> SearchOptions:
    """`defaults` with the flags that were given in their place.

    Raises:
        ConfigError: a value is out of its range.
    """
    given = {name: getattr(arguments, name) for name in SEARCH_HELP}
    chosen = {name: value for name, value in given.items() if value is not None}
    return from_dict(SearchOptions, to_dict(defaults) | chosen)


def load_model(name: str, arguments: argparse.Namespace) -> LoadedModel:
    """Load what `add_model_arguments` asked for, and tell on stderr what it is.

    Raises:
        ConfigError: no such device.
        CheckpointError: there is no checkpoint, or it is damaged or too new.
    """
    device = resolve_device(arguments.device)
    dtype = resolve_precision(arguments.precision, device)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    checkpoint = load_checkpoint(arguments.run)
    precision = "bf16" if dtype == torch.bfloat16 else "fp32"
    print(
        f"{name}: {checkpoint.path}, device {device}, precision {precision}, "
        f"threads {torch.get_num_threads()}",
        file=sys.stderr,
    )
    return LoadedModel(checkpoint=checkpoint, device=device, dtype=dtype)


def input_lines(name: str) -> Iterator[str]:
    """The lines of a file, or of standard input for `-`; see `model.text.lines`."""
    if name == STREAM:
        return iter_lines(sys.stdin.buffer, "standard input")
    return read_lines(Path(name))


@contextmanager
def open_output(name: str) -> Iterator[BinaryIO]:
    """A file that appears when it is complete, or standard output for `-`.

    Raises:
        DataError: the file cannot be written, or the disk is full.
    """
    if name != STREAM:
        with atomic_output(Path(name)) as output:
            yield output
        return
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        _discard_stdout()
        raise DataError(
            f"standard output: cannot be written ({error.strerror}). Make room."
        ) from error


def run_command(name: str, command: Callable[[], int]) -> int:
    """The exit status of `command`.

    A mistake of the user becomes one line on stderr and status 2. Ctrl-C is 130. A reader that
    closes our output, as `head` does, ends the command without a word: 141. SIGTERM unwinds it as
    Ctrl-C does, so that no half-written file stays behind, and leaves the process with 143.
    """
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(TERMINATED))
    try:
        return command()
    except DragomanError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()
        return PIPE_CLOSED
    finally:
        signal.signal(signal.SIGTERM, before)


def _discard_stdout() -> None:
    """Python writes what is left in its buffer when it exits: let that succeed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is too small, use 1 or more")
    return number
