"""dragoman-inspect: shows what a checkpoint is, or what happens inside while it translates."""

if __name__ == "__main__":  # before the imports, which take seconds
    from model import commands

    commands.inspect()

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.checkpoint.files import CheckpointFiles
from model.cli.command import OK, add_run_argument, command_parser, run_command
from model.cli.footprint import footprint
from model.cli.paths import checkpoint_places, refuse_overwriting
from model.cli.report import add_report_argument, report_places, table, write_report
from model.config import ModelConfig, to_dict
from model.decoding.precision.precision import precisions_of
from model.decoding.symbol_options import TEXT_OPTIONS
from model.drawing.trace_figure import picture_format, save_trace
from model.drawing.trace_view import TraceView
from model.errors import CheckpointError, ConfigError, RequestError
from model.network.seq2seq import Seq2Seq
from model.text.printable import printable
from model.text.profile import TRANSDUCE
from model.text.symbols import Symbols
from model.text.tokenizer import Tokenizer
from model.text.vocabulary import Vocabulary
from model.translator import Translator
from model.vectors.vector_form import VectorForm

NAME = "dragoman-inspect"

DESCRIPTION = """\
Show what a checkpoint is: its files and their sizes, the parameters of each part, the memory that
it takes at each precision and for each sentence in flight, its digest, the search options that it
was saved with, its tokenizer, and its card with data, license and metrics.

With --trace, show instead what happens inside the network while it translates one sentence: at
each step the gates, the cell and the hidden state of every layer, and the attention. The terminal
shows the first units of each layer, JSON all of them. See docs/inside-an-lstm.md."""

EXAMPLE = """\
examples:
  dragoman-inspect runs/demo
  dragoman-inspect runs/demo --json - | jq .digest
  dragoman-inspect runs/demo --trace 'Es ist halb vier.' --picture trace.png"""

KIB, MIB = 2**10, 2**20
SHOWN = 500  # symbols


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run_command(NAME, lambda: _inspect(_parser().parse_args(argv)))


def parameters_by_part(network: Seq2Seq) -> dict[str, int]:
    """Count parameters. A matrix shared by several parts counts once, as an embedding."""
    counts = Counter({"embeddings": 0, "encoder": 0, "attention": 0, "decoder": 0, "output": 0})
    for name, value in network.named_parameters():
        counts[_part(name, network.config)] += value.numel()
    return dict(counts)


def tokenizer_kind(tokenizer: Tokenizer) -> str:
    """`bpe` or `unigram`: only in BPE are all scores whole numbers, the ranks of merges."""
    scores = (score for _, score in tokenizer.subwords().values())
    return "bpe" if all(score.is_integer() for score in scores) else "unigram"


def vocabulary_figures(vocabulary: Vocabulary | VectorForm) -> dict[str, Any]:
    """Kind and size of the tokenizer; of symbols also how lines are cut, and all of them."""
    if isinstance(vocabulary, VectorForm):
        return {"kind": "vectors", **to_dict(vocabulary)}
    size = {"pieces": vocabulary.vocab_size}
    if isinstance(vocabulary, Symbols):
        return {"kind": "symbols", **size, **to_dict(vocabulary.alphabet)}
    return {"kind": tokenizer_kind(vocabulary), **size}


def _listed(symbols: Sequence[str]) -> str:
    shown = " ".join(repr(one) if one == " " else one for one in symbols[:SHOWN])
    return shown + (", ..." if len(symbols) > SHOWN else "")


def vocabulary_line(vocabulary: Vocabulary | VectorForm) -> str:
    """The same for people; of symbols the first ones, quoted only where they are spaces."""
    if isinstance(vocabulary, VectorForm):
        steps = vocabulary.steps or "one for each source vector"
        kind = ", by their differences" if vocabulary.differences else ""
        window = vocabulary.window
        read = f"window      {printable(window.describe())}\n" if window else ""
        return f"vectors     of an output: {steps}{kind}\n{read}"
    if isinstance(vocabulary, Symbols):
        alphabet = vocabulary.alphabet
        told = f"symbols     {alphabet.describe()}: {_listed(alphabet.symbols)}\n"
        if alphabet.read in ((), alphabet.symbols):
            return told
        return f"{told}read        {len(alphabet.read):,} of them: {_listed(alphabet.read)}\n"
    figures = vocabulary_figures(vocabulary)
    return f"tokenizer   {figures['kind']}, {figures['pieces']:,} pieces\n"


def _part(name: str, config: ModelConfig) -> str:
    """The part that the parameter called `name` belongs to."""
    if "embedding" in name or (name == "output.weight" and config.tie_embeddings):
        return "embeddings"
    return "attention" if name.startswith("decoder.attention.") else name.split(".")[0]


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(NAME, DESCRIPTION, EXAMPLE)
    add_run_argument(parser)
    add_report_argument(parser)
    parser.add_argument(
        "--trace",
        metavar="TEXT",
        help="show what happens inside while this sentence is translated, by a model of text",
    )
    parser.add_argument(
        "--picture",
        metavar="FILE",
        type=Path,
        help="draw the trace into this file, too, as PNG or SVG by the end of its name",
    )
    return parser


def _inspect(arguments: argparse.Namespace) -> int:
    if arguments.picture is not None:
        picture_format(arguments.picture)
        if arguments.trace is None:
            raise ConfigError("--picture: it shows a trace. Add --trace TEXT.")
    refuse_overwriting(
        checkpoint_places("RUN", [arguments.run]),
        [*report_places(arguments.json), ("--picture", arguments.picture)],
    )
    if arguments.trace is not None:
        return _trace(arguments)
    checkpoint = load_checkpoint(arguments.run)
    figures = _figures(checkpoint)
    write_report(_text(checkpoint, figures), figures, arguments.json)
    return OK


def _trace(arguments: argparse.Namespace) -> int:
    translator = Translator.load(arguments.run, device="cpu", precision="fp32")
    try:
        found = translator.trace(arguments.trace)
    except RequestError as error:
        if error.field == "text":
            error.field = "--trace"
        raise
    if arguments.picture is not None:
        save_trace(found, arguments.picture)
    console = Console(markup=False, highlight=False)
    with console.capture() as capture:
        console.print(TraceView(found))
    write_report(capture.get(), found.to_json(), arguments.json)
    return OK


def _figures(checkpoint: Checkpoint) -> dict[str, Any]:
    """All that is shown of a checkpoint, as values for JSON.

    Raises:
        CheckpointError: training has deleted the checkpoint in the meantime.
    """
    try:
        stored = CheckpointFiles(checkpoint.path)
        sizes = stored.sizes()
    except CheckpointError as error:
        raise CheckpointError(
            f"{checkpoint.path}: cannot be read any more. Run this again."
        ) from error
    return {
        "checkpoint": str(checkpoint.path),
        "digest": checkpoint.digest,
        "format": stored.manifest.format,
        "dragoman": stored.manifest.dragoman,
        "step": checkpoint.step,
        "file_bytes": sizes,
        "weights": checkpoint.stored,
        "parameters": parameters_by_part(checkpoint.network),
        "memory": {
            name: asdict(footprint(checkpoint, name)) for name in precisions_of(checkpoint.config)
        },
        "source_kind": checkpoint.kinds[0],
        "target_kind": checkpoint.kinds[1],
        "tokenizer": vocabulary_figures(checkpoint.vocabulary),
        "reads": vocabulary_figures(checkpoint.reads) if checkpoint.reads else None,
        "text": to_dict(checkpoint.profile),
        "config": to_dict(checkpoint.config),
        "search": to_dict(checkpoint.search),
        "confidence": to_dict(checkpoint.calibration) if checkpoint.calibration else None,
        "card": checkpoint.card,
    }


def _task(checkpoint: Checkpoint) -> str:
    """What a model of text does, with its languages; or what all models of sequences do."""
    if checkpoint.is_text:
        return checkpoint.profile.describe()
    return f"{TRANSDUCE}, {' to '.join(checkpoint.kinds)}"


def _vocabularies(checkpoint: Checkpoint) -> list[Vocabulary | VectorForm]:
    """What makes outputs, and what makes ids of sources if that is another."""
    reads, writes = checkpoint.reads, checkpoint.vocabulary
    return [writes] if reads in (None, writes) else [reads, writes]


def _text(checkpoint: Checkpoint, figures: dict[str, Any]) -> str:
    """The figures as text for people."""
    config, files, parameters = checkpoint.config, figures["file_bytes"], figures["parameters"]
    calibration = checkpoint.calibration
    memory = [
        [name, f"{held['fixed_bytes'] / MIB:,.1f}", f"{held['slot_bytes'] / KIB:,.0f}"]
        for name, held in figures["memory"].items()
    ]
    parts = [
        f"checkpoint  {figures['checkpoint']}\n"
        f"digest      {figures['digest']}\n"
        f"format      {figures['format']}, of dragoman {figures['dragoman']}, "
        f"step {figures['step']:,}\n"
        f"weights     {checkpoint.stored}\n"
        f"task        {_task(checkpoint)}\n"
        f"{''.join(map(vocabulary_line, _vocabularies(checkpoint)))}"
        f"confidence  {calibration.describe() if calibration else 'not calibrated'}\n"
        f"max length  {config.max_length:,} pieces of a sentence\n",
        table(["file", "bytes"], _with_sum(files)),
        table(["part", "parameters"], _with_sum(parameters)),
        table(["precision", "weights MiB", "KiB for each sentence in flight"], memory),
        *_defaults(checkpoint, figures),
        "\n".join(map(printable, checkpoint.card.rstrip().split("\n"))) + "\n",
    ]
    return "\n".join(parts)


def _defaults(checkpoint: Checkpoint, figures: dict[str, Any]) -> list[str]:
    """Tables of what is known of its text, and of the search options that mean something."""
    options = {**figures["search"]}
    if not checkpoint.is_text:
        options = {name: value for name, value in options.items() if name not in TEXT_OPTIONS}
    shown = {}
    if checkpoint.is_text:
        shown["text", ""] = figures["text"]
    if not isinstance(checkpoint.vocabulary, VectorForm):  # which have no search
        shown["search option", "default"] = options
    return [table(head, [[k, str(v)] for k, v in rows.items()]) for head, rows in shown.items()]


def _with_sum(counts: dict[str, int]) -> list[list[str]]:
    rows = counts | {"together": sum(counts.values())}
    return [[name, f"{count:,}"] for name, count in rows.items()]
