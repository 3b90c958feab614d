"""`dragoman-shortlist`: learn a shortlist for a trained model."""

if __name__ == "__main__":  # before the imports, which take seconds
    from training import commands

    commands.shortlist()

import argparse
from collections.abc import Sequence
from pathlib import Path

from model.cli.command import OK, command_parser, positive, run_command
from model.cli.paths import refuse_overwriting
from model.errors import CheckpointError
from training.config.train_config import ShortlistConfig, load_config

NAME = "dragoman-shortlist"

DESCRIPTION = """\
Learn from parallel text which target pieces a source piece may become, and save that with the best
and the last checkpoint of RUN. dragoman-train does it by itself: this is for models that were
trained without. Line i of one file translates line i of the other; text or .gz. One line in fifty,
at most a thousand, is kept out, to measure the shortlist on.
"""

EXAMPLE = """\
example:
  dragoman-shortlist runs/de-en --source train.de.gz --target train.en.gz
"""

SIZES_HELP = {
    "candidates": "translations kept for each source piece",
    "frequent": "most frequent target pieces, allowed in every sentence",
    "max_links": "of a corpus with more source pieces * target pieces, use a part",
}


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    command = command_parser(NAME, DESCRIPTION, EXAMPLE)
    command.add_argument("run", metavar="RUN", type=Path, help="output directory of dragoman-train")
    for name, text in (("source", "text to learn from"), ("target", "its translation")):
        command.add_argument(f"--{name}", metavar="F", type=Path, required=True, help=text)
    for name, text in SIZES_HELP.items():
        command.add_argument(
            f"--{name.replace('_', '-')}",
            metavar="N",
            type=positive,
            default=getattr(ShortlistConfig(), name),
            help=f"{text} (default: %(default)s)",
        )
    return command


def make_shortlist(run: Path, source: Path, target: Path, config: ShortlistConfig) -> str:
    """Learn a shortlist from the two files, and save it with the checkpoints of `run`.

    Whoever loads meanwhile gets a checkpoint as it was or as it is now. Return lines for the user.

    Raises:
        CheckpointError: `run` has no checkpoints, is in use, damaged, or cannot be written.
        ConfigError: its config.yaml is missing or damaged.
        DataError: a file cannot be read or does not fit its counterpart.
    """
    import numpy as np

    from model.checkpoint.checkpoint import add_shortlist, load_checkpoint
    from model.checkpoint.run_directory import LINKS, lock_run, point, prune, resolve
    from training.data.counter_rng import line_keys
    from training.data.indexed_corpus import Side
    from training.data.subword_sampler import SubwordSampler
    from training.data.text_corpus import aligned_lines, encode_corpus, hold_out
    from training.lexical.learn_shortlist import learn_measured
    from training.tracking.model_card import with_coverage

    links = [link for link in LINKS if (run / link).is_symlink()]
    if not links:
        raise CheckpointError(
            f"{run}: not a run, it has no links best and last. Give the output directory of "
            "dragoman-train; copy one with its links (cp -a)."
        )
    trained = load_config(run / "config.yaml")
    pairs = hold_out(aligned_lines(source, target))
    with lock_run(run):
        checkpoints = {link: load_checkpoint(resolve(run, (link,))) for link in links}
        model = checkpoints[links[0]]  # the tokenizer is that of all
        tokenizer, length = model.tokenizer, model.config.max_length
        rules = model.profile.normalization
        train, dev = (
            encode_corpus(part, tokenizer, max_length=length, normalization=rules) for part in pairs
        )
        targets = train.targets
        if alpha := trained.tokenizer.sampling:
            rows = np.arange(len(targets), dtype=np.uint64)
            keys = line_keys(0, 0, 0, np.zeros_like(rows), rows)
            sampler = SubwordSampler(tokenizer, alpha=alpha, seed=0)
            targets = sampler.sample(Side.joined(targets), keys).split()
        learned = learn_measured(train.sources, targets, dev, tokenizer, config)
        published: dict[Path, Path] = {}
        for link, old in checkpoints.items():
            if old.path not in published:
                card = with_coverage(old.card, learned.coverage)
                published[old.path] = add_shortlist(run, old.path, learned.shortlist, card=card)
            point(run, link, published[old.path])
        prune(run, trained.run.keep)
    return learned.describe()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""

    def command() -> int:
        arguments = parser().parse_args(argv)
        refuse_overwriting(
            [("--source", arguments.source), ("--target", arguments.target)],
            [("the checkpoints", arguments.run / "checkpoints")],
        )
        config = ShortlistConfig(**{name: getattr(arguments, name) for name in SIZES_HELP})
        print(make_shortlist(arguments.run, arguments.source, arguments.target, config))
        return OK

    return run_command(NAME, command)
