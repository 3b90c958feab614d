"""Command: shared by all commands are flags, loading, one-line errors and exit statuses."""

import argparse
import errno
import importlib.metadata
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, NoReturn, get_args, get_origin, get_type_hints

import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.checkpoint.pretrained import or_in_box
from model.config import from_dict, to_dict
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.options import DESCRIPTIONS, SearchOptions
from model.decoding.precision.dtypes import PRECISIONS
from model.decoding.precision.precision import precision_of, resolve_device, resolve_precision
from model.errors import ConfigError, DataError, DragomanError
from model.io.compression import plain_suffix
from model.io.lines import atomic_output, iter_lines, read_lines
from model.network.seq2seq import Seq2Seq
from model.text.nearest import nearest
from model.text.printable import printable
from model.translation.ensemble import network_of, shortlist_of

OK, MISTAKE = 0, 2
INTERRUPTED, PIPE_CLOSED, TERMINATED = 130, 141, 143  # 128 + SIGINT, SIGPIPE, SIGTERM

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF)

STREAM = "-"  # the name of standard input and standard output


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedModel:
    """A checkpoint, or an ensemble, and where to run it."""

    checkpoint: Checkpoint
    """The checkpoint; of an ensemble the first, whose search options are used."""
    others: tuple[Checkpoint, ...]
    """The further members of an ensemble."""
    network: Seq2Seq
    """The network of the checkpoint, or of the ensemble."""
    device: torch.device
    dtype: torch.dtype
    precision: str
    """The resolved value, never "auto"."""
    shortlist: Shortlist | None
    """The shortlist of the checkpoint, if it was asked for."""


class _Parser(argparse.ArgumentParser):
    """Reports a wrong flag in the same way as any other mistake."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}.{self._meant(message)} See {self.prog} --help.")

    def _meant(self, message: str) -> str:
        """Name the flags that those which `message` does not recognize most likely mean."""
        what, _, words = message.partition(": ")
        if what != "unrecognized arguments":
            return ""
        flags = {flag[2:]: flag for action in self._actions for flag in action.option_strings}
        given = [word[2:].partition("=")[0] for word in words.split() if word.startswith("--")]
        meant = dict.fromkeys(flags[near] for one in given for near in nearest(one, flags))
        return f" Did you mean {' or '.join(meant)}?" if meant else ""


def command_parser(name: str, description: str, example: str) -> argparse.ArgumentParser:
    """Make a parser with --help and --version; flags cannot be abbreviated."""
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
    """Add --version."""
    version = f"{parser.prog} {importlib.metadata.version('dragoman')}"
    parser.add_argument("--version", action="version", version=version)


def add_model_arguments(parser: argparse.ArgumentParser, *, run_required: bool = True) -> None:
    """Add RUN, and the flags for where and in which precision to compute."""
    add_run_argument(parser, required=run_required)
    add_machine_arguments(parser)
    parser.add_argument(
        "--precision",
        choices=["auto", *PRECISIONS],
        default="auto",
        help="number format of matrix products (default: %(default)s); auto is the fastest here, "
        "measured when a model is first loaded on a machine",
    )


def add_shortlist_argument(parser: argparse.ArgumentParser) -> None:
    """Add --shortlist."""
    parser.add_argument(
        "--shortlist",
        action="store_true",
        help="score only the pieces that the checkpoint's shortlist names for a source: other "
        "words in some lines, of about the same quality on the whole (see docs/shortlist.md)",
    )


def add_ensemble_argument(parser: argparse.ArgumentParser) -> None:
    """Add --ensemble, for the `others` of `load_model`."""
    parser.add_argument(
        "--ensemble",
        metavar="RUN",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        help="further models with the tokenizer of the first RUN, which stands before this flag: "
        "all translate as one, by the mean of their log-probabilities",
    )


def add_run_argument(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add RUN, which is None if it is neither required nor given."""
    parser.add_argument(
        "run",
        metavar="RUN",
        type=Path,
        nargs=None if required else "?",
        help="output directory of dragoman-train (its best checkpoint), one of its checkpoints "
        f"or a pack{or_in_box()}",
    )


def add_machine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --device and --threads."""
    parser.add_argument(
        "--device", default="auto", help="auto (CUDA where there is one), cpu, cuda or cuda:N"
    )
    parser.add_argument(
        "--threads", metavar="N", type=positive, help="CPU threads (default: one for each core)"
    )


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each of the `SearchOptions`, with its description as help."""
    group = parser.add_argument_group(
        "search options", "Without a flag, what the checkpoint was saved with (decoding.json)."
    )
    for name, hint in get_type_hints(SearchOptions).items():
        flag = f"--{name.replace('_', '-')}"
        text = DESCRIPTIONS[name].text.replace("`", "")
        if get_origin(hint) is Literal:
            group.add_argument(flag, choices=get_args(hint), help=text)
        elif get_origin(hint) is tuple:
            text += "; give the flag once for each"
            group.add_argument(flag, metavar="TEXT", action="append", help=text)
        else:
            kind = hint if isinstance(hint, type) else float  # float | None is a number, or none
            metavar = {int: "N", float: "X", str: "TEXT"}[kind]
            group.add_argument(flag, metavar=metavar, type=kind, help=text)


def search_options(arguments: argparse.Namespace, defaults: SearchOptions) -> SearchOptions:
    """Replace `defaults` by the flags that were given.

    Raises:
        ConfigError: a value is out of its range.
    """
    given = {name: getattr(arguments, name) for name in DESCRIPTIONS}
    chosen = {name: value for name, value in given.items() if value is not None}
    return from_dict(SearchOptions, to_dict(defaults) | chosen)


def load_model(
    name: str, arguments: argparse.Namespace, others: Sequence[Path] = ()
) -> LoadedModel:
    """Load what the flags of `add_model_arguments` ask for, and describe it on stderr.

    Args:
        others: runs or checkpoints that form an ensemble with RUN.

    Raises:
        ConfigError: there is no such device, or an ensemble has no common tokenizer or a shortlist.
        CheckpointError: there is no checkpoint, or it is damaged or too new.
    """
    device = resolve_device(arguments.device)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    checkpoints = [load_checkpoint(path) for path in (arguments.run, *others)]
    shortlist = shortlist_of(checkpoints, arguments.shortlist)
    network = network_of(checkpoints)
    dtype = resolve_precision(arguments.precision, device, network)
    precision = precision_of(dtype)
    paths = " + ".join(str(checkpoint.path) for checkpoint in checkpoints)
    print(
        f"{name}: {paths}, device {device}, precision {precision}, "
        f"threads {torch.get_num_threads()}",
        file=sys.stderr,
    )
    return LoadedModel(
        checkpoint=checkpoints[0],
        others=tuple(checkpoints[1:]),
        network=network,
        device=device,
        dtype=dtype,
        precision=precision,
        shortlist=shortlist,
    )


def input_lines(name: str) -> Iterator[str]:
    """The lines of a file, or of standard input for `-`; see `model.io.lines`."""
    if name == STREAM:
        return iter_lines(sys.stdin.buffer, "standard input")
    return read_lines(Path(name))


@contextmanager
def open_output(name: str) -> Iterator[BinaryIO]:
    """Open a file that appears when it is complete, or standard output for `-`.

    Raises:
        DataError: the file cannot be written, or the disk is full.
    """
    if name != STREAM:
        with atomic_output(Path(name)) as output:
            yield output
        return
    with _complete_stdout():
        yield sys.stdout.buffer


def run_command(name: str, command: Callable[[], int]) -> int:
    """Run `command` and return its exit status.

    A mistake of the user becomes one line on stderr and status 2, as does each of several in a
    config, and output that cannot be written, because the disk is full or standard output is
    closed. Ctrl-C is 130. If the reader of the output closes it, as `head` does, the command ends
    silently with 141. SIGTERM unwinds the command as Ctrl-C does, so that no half-written file
    stays behind, and ends the process with 143. Characters that standard output cannot encode, such
    as bytes of a path that are not text, are escaped, as they are on stderr.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(TERMINATED))
    try:
        with _complete_stdout():
            return command()
    except DragomanError as error:
        for line in error.lines:
            print(f"{name}: error: {printable(line)}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()
        return PIPE_CLOSED
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _complete_stdout() -> Iterator[None]:
    """Write out what the block has printed, also if it ends the process, as --help does.

    Raises:
        DataError: standard output is closed, or its disk full.
    """
    try:
        try:
            yield
        except SystemExit:
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        _discard_stdout()
        raise DataError(
            f"standard output: cannot be written ({error.strerror}). Make room, or redirect it."
        ) from error


def _discard_stdout() -> None:
    """Redirect stdout to nowhere, so that Python can flush its buffer when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_given(value: object) -> bool:
    """Whether the value of a flag is one that a person gave: also 0, which equals False."""
    return value is not None and value is not False and value not in ((), [], "auto")


def refuse_output(output: str, endings: Sequence[str], instead: str) -> None:
    """Refuse to write something else into a file that is named like a known format.

    Args:
        output: the file, or -.
        endings: those of its name that are refused, also before .gz and .zst.
        instead: what to name.

    Raises:
        ConfigError: its name ends so.
    """
    for ending in endings:
        if output.endswith(ending) or plain_suffix(Path(output)) == ending:
            raise ConfigError(f"--output: {ending} is not written. Name {instead}.")


def positive(text: str) -> int:
    """Parse a flag that takes a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is too small, use 1 or more")
    return number
