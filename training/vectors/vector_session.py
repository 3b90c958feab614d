"""VectorSession: the parts of a run on vectors; it evaluates and saves them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from model.checkpoint.checkpoint import load_origin, load_training_state, save_checkpoint
from model.decoding.precision.precision import resolve_precision
from model.errors import ConfigError
from model.network.vectors import Statistics
from model.vectors.vector_form import VectorForm
from training.config.train_config import TrainConfig
from training.data.corpus_report import CorpusReport
from training.loop.any_session import AnySession
from training.loop.gradient_accumulation import TrainingRows
from training.loop.initialize import build_network, new_origin
from training.loop.loss_spikes import Spike
from training.loop.planner import Planner
from training.loop.resolve_config import as_begun, replace_auto
from training.loop.resume import check_same_data
from training.loop.rollback import Rollback
from training.loop.saved_values import check_values
from training.loop.trainer import AnyTrainer, Update
from training.system.distributed import World
from training.tracking.model_card import model_card
from training.tracking.run_record import SpikeRow
from training.validation.best import Best
from training.validation.evaluation import Evaluation
from training.vectors.vector_batch import VectorRows
from training.vectors.vector_corpus import (
    VectorCorpus,
    learned,
    normalised,
    read_corpora,
    statistics_of,
)
from training.vectors.vector_evaluation import evaluate_vectors
from training.vectors.vector_loader import VectorLoader
from training.vectors.vector_loss import VectorLossKind, VectorObjective

VectorTrainer = AnyTrainer[VectorLoader, VectorRows]


@dataclass(kw_only=True)
class VectorSession(AnySession):
    """The parts of one run on vectors, as `build_vector_session` makes them."""

    form: VectorForm
    train_report: CorpusReport
    dev: VectorCorpus
    dev_rows: VectorRows
    """The dev set, normalised."""

    @property
    def reports(self) -> dict[str, CorpusReport]:
        """Report on the training data, and on "dev"."""
        return {"train": self.train_report, "dev": self.dev.report}

    @property
    def kept(self) -> int:
        """Number of training pairs."""
        return self.train_report.kept

    @property
    def pairs_a_line(self) -> float:
        """A line of a batch is a pair."""
        return 1.0

    @property
    def dev_size(self) -> int:
        """Number of pairs of the dev set."""
        return len(self.dev.sources)

    def describe_data(self) -> Sequence[str]:
        """Describe the training data in a line of the log."""
        return [self.train_report.describe("train")]

    def describe_size(self) -> str:
        """Parameters and widths, for people."""
        parameters = sum(parameter.numel() for parameter in self.trainer.parameters)
        model = self.config.model
        return (
            f"{parameters:,} parameters, vectors of {model.source_width:,} numbers to vectors of "
            f"{model.target_width:,}"
        )

    def prepare(self) -> list[str]:
        """Nothing is learned beforehand."""
        return []

    def evaluate_dev(self, first: int | None = None) -> Evaluation:
        """Score the averaged weights on the dev set, or on its `first` pairs."""
        count = self.dev_size if first is None else first
        sources, targets = self.dev_rows
        return evaluate_vectors(
            self.trainer.averaged(),
            self.dev.first(count),
            VectorRows(sources[:count], targets[:count]),
            self.form,
            loss=loss_kind(self.config),
            device=self.trainer.device,
            dtype=self.trainer.dtype,
        )

    def evaluate_old_dev(self) -> None:
        """There is no fine-tuning of vectors, so no old dev set."""

    def explain(self, spike: Spike, update: Update, rows: TrainingRows) -> SpikeRow | None:
        """None: a pair of vectors has no text that could be shown."""
        return None

    def write(
        self,
        evaluation: Evaluation | None,
        old_evaluation: Evaluation | None,
        training_meta: Mapping[str, Any],
    ) -> Path:
        """Write a checkpoint with this training state, and return its directory."""
        tensors, values = self.trainer.state()
        steps = self.trainer.steps
        return save_checkpoint(
            self.run,
            steps,
            config=self.config.model,
            weights=self.trainer.weights(),
            tokenizer=self.form,
            search=self.form.search,
            card=model_card(self.config, steps, self.train_report, evaluation, several=0.0),
            origin=self.origin,
            training_state=tensors,
            training_meta={"trainer": values, **training_meta},
        )


def loss_kind(config: TrainConfig) -> VectorLossKind:
    """The loss of `target.loss`."""
    return config.target.loss or "mse"


def vector_form(config: TrainConfig) -> VectorForm:
    """The form of the outputs that `config` asks for."""
    windows = config.data.windows
    return VectorForm(
        steps=config.target.steps,
        differences=config.target.differences,
        scaled_by=windows.places if windows and windows.scale == "window" else (),
    )


def build_vector_session(
    given: TrainConfig, run: Path, *, resume: bool, world: World, started: float
) -> VectorSession:
    """Read the data, build the trainer, and load what `resume` finds. Nothing is written yet.

    `started` is the time of `time.monotonic` from which `run.max_minutes` count.

    Raises:
        ConfigError, DataError, CheckpointError: as their names say.
    """
    if world.size > 1:
        raise ConfigError("run: vectors are trained by one process. Start one, with accumulate.")
    torch.set_num_threads(world.threads(given.run.threads))
    device = world.device(given.run.device)
    tensors, values = _saved(run) if resume else ({}, {})
    config = as_begun(given, run, values or None, world) if resume else given
    config, dtype = _with_precision(config, device)
    train = read_corpora(config.data.train, config, "train", most=config.model.max_length)
    dev = read_corpora([config.data.dev], config, "dev", most=None)
    digests = {
        "data_digest": train.digest(),
        "dev_digest": dev.digest(),
        "old_dev_digest": "",
        "teacher_digest": "",
    }
    if values:
        check_same_data(digests, values)
    form = vector_form(config)
    lesson = learned(train, form)
    statistics = (
        statistics_of(lesson.sources, "source"),
        statistics_of(lesson.targets, "target"),
    )
    trainer = _trainer(config, normalised(lesson, *statistics), statistics, device, dtype, world)
    new = new_origin(config.finetune, trainer.network, digests["data_digest"])
    session = VectorSession(
        run=run,
        resume=resume,
        world=world,
        config=config,
        digests=digests,
        origin=load_origin(run / "last") if values else new,
        trainer=trainer,
        best=Best(config.validation.best),
        rollback=Rollback(trainer, run, world),
        planner=Planner(config.run, world, started=started),
        form=form,
        train_report=train.report,
        dev=dev,
        dev_rows=normalised(learned(dev, form), *statistics),
    )
    if values:
        session.restore(tensors, values)
    return session


def describe_vectors(config: TrainConfig) -> str:
    """Read the data of `config` and describe them, for --check-data.

    Raises:
        DataError: see `read_corpora`.
    """
    train = read_corpora(config.data.train, config, "train", most=config.model.max_length)
    dev = read_corpora([config.data.dev], config, "dev", most=None)
    return "\n".join([train.report.details("train"), dev.report.details("dev")])


def _saved(run: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The last training state of `run`, tensors and values; empty if there is none."""
    if not (run / "last").exists():
        return {}, {}
    tensors, values = load_training_state(run)
    check_values(values, run / "last")
    return tensors, values


def _with_precision(config: TrainConfig, device: torch.device) -> tuple[TrainConfig, torch.dtype]:
    """The config with its precision decided: auto is fp32, since errors are what is measured."""
    precision: Literal["fp32", "bf16"] = "bf16" if config.run.precision == "bf16" else "fp32"
    config = replace_auto(config, config.run.batch_tokens, precision)
    return config, resolve_precision(precision, device)


def _trainer(
    config: TrainConfig,
    rows: VectorRows,
    statistics: tuple[Statistics, Statistics],
    device: torch.device,
    dtype: torch.dtype,
    world: World,
) -> VectorTrainer:
    """The trainer at step 0; its network has the statistics of the data."""
    torch.manual_seed(config.run.seed)
    weights = {name: p.detach() for name, p in build_network(config).named_parameters()}
    for side, found in zip(("source", "target"), statistics, strict=True):
        for name, value in found.named_parameters():
            weights[f"{side}_statistics.{name}"] = value
    return VectorTrainer(
        config,
        VectorLoader(rows, batch_tokens=config.run.tokens, seed=config.run.seed),
        device=device,
        dtype=dtype,
        world=world,
        objective=VectorObjective(kind=loss_kind(config)),
        weights=weights,
    )
