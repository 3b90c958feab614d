"""`dragoman-average`: the mean of the weights of several checkpoints."""

if __name__ == "__main__":  # before the imports, which take seconds
    from training import commands

    commands.average()

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from model.checkpoint.checkpoint import Checkpoint, derive_checkpoint, load_checkpoint
from model.checkpoint.run_directory import checkpoints_of, refuse_existing, resolve
from model.cli.command import OK, add_machine_arguments, command_parser, positive, run_command
from model.decoding.precision.precision import resolve_device
from model.errors import CheckpointError, ConfigError, DragomanError
from model.text.printable import printable
from model.translation.ensemble import check_alike
from training.config.train_config import load_config
from training.loop.initialize import check_same_architecture
from training.tracking.metrics_log import read_metrics, series
from training.tracking.model_card import with_average
from training.validation.average_comparison import compare_with_best
from training.validation.best import rank
from training.validation.evaluation import Evaluation

NAME = "dragoman-average"

DESCRIPTION = """\
Write the checkpoint whose weights are the mean of those of several checkpoints of one training
(Sennrich et al. 2016, section 3.2), or of several that were fine-tuned from one model. Of a RUN
these are all that it kept (run.keep in its config), or those that --last or --best chooses. The
rest of the checkpoint comes from the last one.

The average need not be better than the best checkpoint of RUN, so both are measured on the dev set
of its config, as a validation does it.
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
    command.add_argument(
        "--no-compare",
        dest="compare",
        action="store_false",
        help="write the average without two translations of the dev set to measure it",
    )
    add_machine_arguments(command)
    return command


@dataclass(frozen=True, kw_only=True, slots=True)
class Mean:
    """The mean of the weights of several checkpoints of one training, not written yet."""

    checkpoint: Checkpoint
    """The last of them, with the mean in its network."""
    steps: list[int]
    digests: list[str]

    def write(self, output: Path, evaluation: Evaluation | None) -> str:
        """Write it as the checkpoint `output`, measured or not; return a line for the user.

        Raises:
            CheckpointError: `output` exists or cannot be written.
        """
        averaged = zip(self.steps, self.digests, strict=True)
        names = [f"step {step:,}, digest {digest}" for step, digest in averaged]
        last = self.checkpoint
        weights = {name: p.detach().cpu() for name, p in last.network.named_parameters()}
        card = with_average(last.card, names, evaluation)
        calibration = evaluation.calibration if evaluation else None
        derive_checkpoint(last.path, output, weights=weights, card=card, calibration=calibration)
        numbers = ", ".join(f"{step:,}" for step in self.steps)
        return f"{output}: the mean of {len(self.steps)} checkpoints, of steps {numbers}"


def mean_of(directories: Sequence[Path]) -> Mean:
    """Compute the mean of the checkpoints `directories`.

        mean = 1/n sum_i theta_i

    summed in float64. Only one of them is in memory at a time.

    Raises:
        CheckpointError: one is damaged.
        ConfigError: there are fewer than two, or not all have one tokenizer, architecture and
            origin.
    """
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
        if other.vocabulary.model != last.vocabulary.model:
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
    with torch.no_grad():
        for name, parameter in last.network.named_parameters():
            parameter.copy_(sums[name] / len(steps))
    return Mean(checkpoint=last, steps=steps, digests=digests)


def _check_same_origin(one: Checkpoint, other: Checkpoint) -> None:
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


def average(directories: Sequence[Path], output: Path, *, compares: bool, device: str) -> None:
    """Write the mean of `directories` as `output`; tell whether it is better than the best of them.

    Raises:
        CheckpointError: one is damaged, `output` exists or cannot be written.
        ConfigError: there is no such device, or see `mean_of`.
    """
    refuse_existing(output)
    place = resolve_device(device)
    mean = mean_of(directories)
    comparison = measured = missing = None
    if compares:
        print(f"{NAME}: measuring on the dev set; --no-compare leaves it out", file=sys.stderr)
        try:
            comparison = compare_with_best(mean.checkpoint, directories, place)
            measured = comparison.average
        except DragomanError as error:
            missing = f"not compared with the best checkpoint: {printable(str(error))}"
    print(mean.write(output, measured))
    if comparison is not None:
        print(comparison.describe())
    for message in filter(None, (missing, comparison and comparison.warning())):
        print(f"{NAME}: warning: {message}", file=sys.stderr)


def choose_checkpoints(paths: Sequence[Path], last: int | None, best: int | None) -> list[Path]:
    """Find the checkpoint directories of the command line, oldest first where RUN is one.

    Raises:
        ConfigError: `last` or `best` of what is not one run, or more than there are.
        CheckpointError: a path is neither a run nor a checkpoint.
    """
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
        if arguments.threads is not None:
            torch.set_num_threads(arguments.threads)
        average(directories, arguments.output, compares=arguments.compare, device=arguments.device)
        return OK

    return run_command(NAME, command)
