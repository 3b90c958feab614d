"""`dragoman-average`: the mean of the weights of several checkpoints."""

if __name__ == "__main__":  # before the imports, which take seconds
    from training import commands

    commands.average()

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model.cli.command import OK, command_parser, positive, run_command
from model.errors import CheckpointError, ConfigError
from training.validation.best import rank

if TYPE_CHECKING:
    from model.checkpoint.checkpoint import Checkpoint

NAME = "dragoman-average"

DESCRIPTION = """\
Write the checkpoint whose weights are the mean of those of several checkpoints of one training
(Sennrich et al. 2016, section 3.2), or of several that were fine-tuned from one model. Of a RUN
these are all that it kept (run.keep in its config), or those that --last or --best chooses. The
rest of the checkpoint comes from the last one.
"""

EXAMPLE = """\
examples:
  dragoman-average runs/de-en --last 5 --output runs/de-en-averaged
  dragoman-average runs/de-en/checkpoints/step-00{3000,3500,4000} --output averaged
"""


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    command = command_parser(NAME, DESCRIPTION, EXAMPLE)
    command.add_argument(
        "paths",
        metavar="RUN",
        type=Path,
        nargs="+",
        help="output directory of dragoman-train, or two or more checkpoints",
    )
    command.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="the new checkpoint directory"
    )
    choice = command.add_mutually_exclusive_group()
    choice.add_argument("--last", metavar="N", type=positive, help="the N latest that RUN kept")
    choice.add_argument(
        "--best", metavar="N", type=positive, help="the N best on the dev set that RUN kept"
    )
    return command


def average(directories: Sequence[Path], output: Path) -> str:
    """Write the mean of the checkpoints `directories` as `output`; return a line for the user.

        mean = 1/n sum_i theta_i

    summed in float64. Only one of them is in memory at a time.

    Raises:
        CheckpointError: one is damaged, `output` exists or cannot be written.
        ConfigError: there are fewer than two, or not all have one tokenizer, architecture and
            origin.
    """
    import torch

    from model.checkpoint.checkpoint import derive_checkpoint, load_checkpoint
    from model.translation.ensemble import check_alike
    from training.loop.initialize import check_same_architecture
    from training.tracking.model_card import with_average

    if len(directories) < 2:
        raise ConfigError(
            f"{len(directories)} checkpoint: a mean needs two or more. Name them, or let the "
            "training keep more by run.keep."
        )
    last = load_checkpoint(directories[-1])
    sums = {name: p.detach().double() for name, p in last.network.named_parameters()}
    steps, digests = [last.step], [last.digest]
    for directory in reversed(directories[:-1]):
        other = load_checkpoint(directory)
        if other.tokenizer.model != last.tokenizer.model:
            raise ConfigError(
                f"{other.path}: another tokenizer than that of {last.path}. Name checkpoints of "
                "one training."
            )
        check_same_architecture(other.config, last.config, str(other.path))
        _check_same_origin(other, last)
        check_alike(other, last)
        for name, parameter in other.network.named_parameters():
            sums[name] += parameter.detach()
        steps.insert(0, other.step)
        digests.insert(0, other.digest)
    weights = {name: (value / len(steps)).to(torch.float32) for name, value in sums.items()}
    averaged = [f"step {step:,}, digest {one}" for step, one in zip(steps, digests, strict=True)]
    derive_checkpoint(last.path, output, weights=weights, card=with_average(last.card, averaged))
    numbers = ", ".join(f"{step:,}" for step in steps)
    return f"{output}: the mean of {len(steps)} checkpoints, of steps {numbers}"


def _check_same_origin(one: "Checkpoint", other: "Checkpoint") -> None:
    """Check that a mean of the weights makes sense.

    Networks that began with other random weights have their units in another order, and those that
    learned from other data go apart, so the mean of their weights is noise. From one trained model
    on, also several trainings may go: their mean is a "model soup" (Wortsman et al. 2022). What an
    older Dragoman saved has no origin.

    Raises:
        ConfigError: their origins differ.
    """
    if one.origin and other.origin and one.origin != other.origin:
        raise ConfigError(
            f"{one.path}, {other.path}: of trainings that began with other random weights or with "
            "other data, so the mean would be noise. Name checkpoints of one training, or of "
            "several that were fine-tuned from one model; an --ensemble takes any."
        )


def choose_checkpoints(paths: Sequence[Path], last: int | None, best: int | None) -> list[Path]:
    """Find the checkpoint directories of the command line, oldest first where RUN is one.

    Raises:
        ConfigError: `last` or `best` of what is not one run, or more than there are.
        CheckpointError: a path is neither a run nor a checkpoint.
    """
    from model.checkpoint.run_directory import checkpoints_of, resolve

    if len(paths) > 1 or not (paths[0] / "checkpoints").is_dir():
        if last or best:
            raise ConfigError("--last, --best: they choose among the checkpoints of one RUN.")
        return [resolve(path) for path in paths]
    (run,) = paths
    # Of several copies of one step the latest: dragoman-shortlist makes copies.
    kept = list({_step(path): path for path in checkpoints_of(run)}.values())
    known = kept if best is None else _by_quality(run, kept)
    count = last or best or len(kept)
    if count > len(known):
        raise CheckpointError(
            f"{run}: {len(known)} checkpoints to choose from, not {count}. Ask for fewer, or let "
            "the training keep more by run.keep."
        )
    return sorted(known[len(known) - count :], key=_step)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])


def _by_quality(run: Path, kept: Sequence[Path]) -> list[Path]:
    """Sort those of `kept` that were validated, the best by the run's `validation.best` last.

    Raises:
        CheckpointError: no validation shows which is the best.
    """
    from training.config.train_config import load_config
    from training.tracking.metrics_log import read_metrics, series

    metrics = run / "metrics.jsonl"
    if not metrics.exists():
        raise CheckpointError(f"{metrics}: missing, so nobody knows the best. Use --last.")
    metric = load_config(run / "config.yaml").validation.best
    scores = dict(zip(*series(read_metrics(metrics), f"dev_{metric}"), strict=True))
    measured = [path for path in kept if _step(path) in scores]
    return sorted(measured, key=lambda path: rank(metric, scores[_step(path)]))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""

    def command() -> int:
        arguments = parser().parse_args(argv)
        directories = choose_checkpoints(arguments.paths, arguments.last, arguments.best)
        print(average(directories, arguments.output))
        return OK

    return run_command(NAME, command)
