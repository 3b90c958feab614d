"""`dragoman-shortlist`: learn a shortlist for a trained model."""

if __name__ == "__main__":  # before the imports, which take seconds
    from training import commands

    commands.shortlist()

import argparse
import glob
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from model.checkpoint.checkpoint import (
    add_shortlist,
    derive_with_shortlist,
    load_checkpoint,
    replace_shortlist,
)
from model.checkpoint.run_directory import (
    LINKS,
    checkpoints_of,
    is_checkpoint,
    lock_run,
    point,
    prune,
    refuse_existing,
    resolve,
    run_to_write,
)
from model.cli.command import OK, command_parser, positive, run_command
from model.cli.paths import Place, refuse_overwriting
from model.decoding.precision.precision import resolve_device
from model.errors import CheckpointError, ConfigError
from training.config.data_config import CorpusConfig
from training.config.train_config import ShortlistConfig, TokenizerConfig
from training.lexical.learn_shortlist import LearnedShortlist, learn_measured
from training.lexical.learning_text import learning_text
from training.lexical.output_coverage import output_coverage
from training.tracking.model_card import with_coverage
from training.validation.dev_set import run_of

NAME = "dragoman-shortlist"

DESCRIPTION = """\
Learn from parallel text which target pieces a source piece may become, and save that with a model.
dragoman-train does it by itself: this is for models that were trained without, or that need another
one, such as a model fine-tuned on other text.

RUN is a run, whose best and last checkpoint get it, or any checkpoint, which is replaced in one
step, or copied to --output. The text is what the run was trained on, by its config.yaml, or what is
given: two files of which line i of one translates line i of the other, or files with columns (.tsv,
.jsonl, .parquet); each plain, .gz or .zst. Of given text one line in fifty, at most a thousand, is
kept out to measure the shortlist on; with the text of the run, its dev set is for that.
"""

EXAMPLE = """\
examples:
  dragoman-shortlist runs/de-en
  dragoman-shortlist runs/averaged --source train.de.gz --target train.en.gz
  dragoman-shortlist runs/de-en --files train.jsonl --source-column de --target-column en
"""

SIZES_HELP = {
    "candidates": "translations kept for each source piece",
    "frequent": "most frequent target pieces, allowed in every sentence",
    "max_links": "of a corpus with more source pieces * target pieces, use a part",
}


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    command = command_parser(NAME, DESCRIPTION, EXAMPLE)
    command.add_argument(
        "run",
        metavar="RUN",
        type=Path,
        help="output directory of dragoman-train, or a checkpoint, also of dragoman-average",
    )
    for name, text in (
        ("source", "text to learn from"),
        ("target", "its translation"),
        ("files", "in place of both: files with columns"),
    ):
        command.add_argument(f"--{name}", metavar="F", type=Path, nargs="+", help=text)
    for side, left_out in (("source", "1"), ("target", "2")):
        command.add_argument(
            f"--{side}-column",
            metavar="COLUMN",
            default="",
            help=f"of --files: number of the TSV column, from 1, or the name of the column (left "
            f'out: {left_out}, or "{side}")',
        )
    command.add_argument(
        "--sampling",
        metavar="X",
        type=float,
        help="tokenizer.sampling of the training, which the model's outputs depend on (default: "
        "what the config.yaml of the run says, 0 without)",
    )
    command.add_argument(
        "--output", metavar="DIR", type=Path, help="write a copy with the shortlist, change nothing"
    )
    for name, text in SIZES_HELP.items():
        command.add_argument(
            f"--{name.replace('_', '-')}",
            metavar="N",
            type=positive,
            default=getattr(ShortlistConfig(), name),
            help=f"{text} (default: %(default)s)",
        )
    return command


def given_corpus(arguments: argparse.Namespace) -> CorpusConfig | None:
    """Return the parallel text of the command line; None if none is given.

    Raises:
        ConfigError: half of it is missing, or flags do not go together.
    """
    source, target, files = arguments.source, arguments.target, arguments.files
    columns = arguments.source_column, arguments.target_column
    if files is None and any(columns):
        raise ConfigError("--source-column, --target-column: they are for --files. Give it too.")
    if files is None and source is None and target is None:
        return None
    if files is not None and (source or target):
        raise ConfigError("--files: it has both sides. Leave out --source and --target.")
    if files is None and not (source and target):
        missing = "--target" if source else "--source"
        raise ConfigError(f"{missing} is missing: line i of one file translates line i of another.")

    def literal(paths: list[Path] | None) -> tuple[Path, ...]:
        return tuple(Path(glob.escape(str(path))) for path in paths or ())

    return CorpusConfig(
        source=literal(source),
        target=literal(target),
        files=literal(files),
        source_column=columns[0],
        target_column=columns[1],
    )


def make_shortlist(
    path: Path,
    corpus: CorpusConfig | None,
    sizes: ShortlistConfig,
    *,
    sampling: float | None,
    output: Path | None,
) -> str:
    """Learn a shortlist, and save it with the run or checkpoint `path`, or as the copy `output`.

    Whoever loads meanwhile gets a checkpoint as it was or as it is now. Return lines for the user.

    Raises:
        CheckpointError: `path` is neither, is in use, damaged, or cannot be written.
        ConfigError: there is no text to learn from, or the config.yaml is damaged.
        DataError: a file cannot be read or does not fit its counterpart.
    """
    directory = resolve(path)
    if output is not None:
        refuse_existing(output)
    elif directory.is_file():
        raise CheckpointError(
            f"{path}: a pack is not changed. Give --output for a checkpoint with a shortlist, and "
            "make a pack of that."
        )
    run = path if (path / "config.yaml").is_file() else run_of(directory.resolve())
    written_run = None if output is not None else run_to_write(path)
    with nullcontext() if written_run is None else lock_run(written_run):
        model = load_checkpoint(path)
        text = learning_text(run, model, corpus, sampling, sizes)
        learned = learn_measured(text.sources, text.targets, text.held_out, model.tokenizer, sizes)
        print(f"{NAME}: translating with the whole vocabulary, to compare", file=sys.stderr)
        sources = text.held_out.pairs.sources
        outputs = output_coverage(model, learned.shortlist, sources, resolve_device("auto"))
        if output is not None:
            card = with_coverage(model.card, learned.coverage)
            derive_with_shortlist(model.path, output, learned.shortlist, card=card)
        else:
            save(path, learned)
    lines = [learned.describe()]
    if outputs is not None:
        lines.append(f"of translations with the whole vocabulary, they hold {outputs.held()}")
    return "\n".join(lines)


def save(path: Path, learned: LearnedShortlist) -> None:
    """Save a shortlist with the checkpoint `path`, or the best and last ones of the run `path`.

    What links point to is copied and the links are moved, which works on every file system; a
    checkpoint that is given itself keeps its name.

    Raises:
        CheckpointError: one is damaged or cannot be written.
    """

    def card_of(directory: Path) -> str:
        return with_coverage(load_checkpoint(directory).card, learned.coverage)

    if is_checkpoint(path):
        directory = path.resolve()
        replace_shortlist(directory, learned.shortlist, card=card_of(directory))
        return
    published: dict[Path, Path] = {}
    for link in LINKS:
        if (path / link).is_symlink():
            old = resolve(path, (link,))
            if old not in published:
                card = card_of(old)
                published[old] = add_shortlist(path, old, learned.shortlist, card=card)
            point(path, link, published[old])
        elif (path / link).is_dir():  # of a copy that followed the links
            replace_shortlist(path / link, learned.shortlist, card=card_of(path / link))
    if published:
        prune(path, also=set(checkpoints_of(path)) - published.keys())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""

    def command() -> int:
        arguments = parser().parse_args(argv)
        corpus = given_corpus(arguments)
        TokenizerConfig(sampling=arguments.sampling or 0.0)  # checks it
        reads: list[Place] = [
            (f"--{name}", file)
            for name in ("source", "target", "files")
            for file in getattr(arguments, name) or ()
        ]
        path, output = arguments.run, arguments.output
        if output is not None:
            writes = ("--output", output)
        elif is_checkpoint(path):
            writes = ("the checkpoint", path)
        else:
            writes = ("the checkpoints", path / "checkpoints")
        refuse_overwriting(reads, [writes])
        sizes = ShortlistConfig(**{name: getattr(arguments, name) for name in SIZES_HELP})
        print(make_shortlist(path, corpus, sizes, sampling=arguments.sampling, output=output))
        return OK

    return run_command(NAME, command)
