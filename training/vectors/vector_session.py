"""VectorSession: the parts of a run on vectors; it evaluates and saves them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from model.checkpoint.checkpoint import load_origin, load_training_state, save_checkpoint
from model.checkpoint.files import CheckpointFiles
from model.checkpoint.run_directory import resolve
from model.decoding.precision.precision import resolve_precision
from model.errors import ConfigError
from model.text.vocabulary import Vocabulary
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
from training.vectors.frame_rows import FrameRows
from training.vectors.line_data import line_data
from training.vectors.lines_to_vectors import lines_to_vectors
from training.vectors.ready_data import ReadyData
from training.vectors.vector_data import vector_data
from training.vectors.vector_loader import VectorLoader

VectorTrainer = AnyTrainer[VectorLoader[FrameRows[Any]], FrameRows[Any]]


@dataclass(kw_only=True)
class VectorSession(AnySession):
    """The parts of one run that reads or writes vectors, as `build_vector_session` makes them."""

    data: ReadyData

    @property
    def reports(self) -> Mapping[str, CorpusReport]:
        """Report on the training data, and on "dev"."""
        return self.data.reports

    @property
    def kept(self) -> int:
        """Number of training pairs."""
        return self.reports["train"].kept

    @property
    def pairs_a_line(self) -> float:
        """A line of a batch is a pair."""
        return 1.0

    @property
    def dev_size(self) -> int:
        """Number of pairs of the dev set."""
        return self.data.dev_size

    def describe_data(self) -> Sequence[str]:
        """Describe the training data in a line of the log."""
        return [self.reports["train"].describe("train")]

    def describe_size(self) -> str:
        """Parameters, and what goes in and comes out, for people."""
        parameters = sum(parameter.numel() for parameter in self.trainer.parameters)
        model = self.config.model
        inputs, outputs = (
            f"vectors of {width:,} numbers" if width else f"{model.vocab_size:,} pieces"
            for width in (model.source_width, model.target_width)
        )
        return f"{parameters:,} parameters, {inputs} to {outputs}"

    def prepare(self) -> list[str]:
        """Nothing is learned beforehand."""
        return []

    def evaluate_dev(self, first: int | None = None) -> Evaluation:
        """Score the averaged weights on the dev set, or on its `first` pairs."""
        trainer = self.trainer
        count = self.dev_size if first is None else min(first, self.dev_size)
        return self.data.evaluate(trainer.averaged(), count, trainer.device, trainer.dtype)

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
            tokenizer=self.data.vocabulary,
            reads=self.data.reads,
            search=self.data.search,
            profile=self.data.profile,
            calibration=evaluation.calibration if evaluation else None,
            card=model_card(self.config, steps, self.reports["train"], evaluation, several=0.0),
            origin=self.origin,
            training_state=tensors,
            training_meta={"trainer": values, **training_meta},
        )


def ready_data(config: TrainConfig, known: Vocabulary | None = None) -> ReadyData:
    """Read the data of `config`: here alone the kinds of both sides part.

    Args:
        known: the vocabulary of a run that is resumed.

    Raises:
        CheckpointError, ConfigError, DataError, RequestError: see `line_data`, `vector_data` and
            `lines_to_vectors`.
    """
    if config.target.kind != "vectors":
        return line_data(config, known)
    if config.source.kind != "vectors":
        return lines_to_vectors(config, known)
    return vector_data(config)


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
    data = ready_data(config, _known_vocabulary(run) if values else None)
    if values:
        check_same_data(data.digests, values)
    size = (data.reads or data.vocabulary).vocab_size
    model = replace(config.model, vocab_size=size)
    config = replace(config, model=model, validation=data.validation)
    trainer = _trainer(config, data, device, dtype, world)
    new = new_origin(config.finetune, trainer.network, data.digests["data_digest"])
    session = VectorSession(
        run=run,
        resume=resume,
        world=world,
        config=config,
        digests=data.digests,
        origin=load_origin(run / "last") if values else new,
        trainer=trainer,
        best=Best(config.validation.best),
        rollback=Rollback(trainer, run, world),
        planner=Planner(config.run, world, started=started),
        data=data,
    )
    if values:
        session.restore(tensors, values)
    return session


def describe_vectors(config: TrainConfig) -> str:
    """Read the data of `config` and describe them, for --check-data.

    Raises:
        ConfigError, DataError, RequestError: see `ready_data`.
    """
    reports = ready_data(config).reports
    return "\n".join(report.details(name) for name, report in reports.items())


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


def _known_vocabulary(run: Path) -> Vocabulary | None:
    """The symbols or the tokenizer of the last checkpoint of `run`; None if it has neither."""
    files = CheckpointFiles(resolve(run, links=("last",)))
    return files.lines() if files.has_lines else None


def _trainer(
    config: TrainConfig, data: ReadyData, device: torch.device, dtype: torch.dtype, world: World
) -> VectorTrainer:
    """The trainer at step 0; its network has the statistics of the data."""
    torch.manual_seed(config.run.seed)
    weights = {name: p.detach() for name, p in build_network(config).named_parameters()}
    return VectorTrainer(
        config,
        VectorLoader(data.rows, batch_tokens=config.run.tokens, seed=config.run.seed),
        device=device,
        dtype=dtype,
        world=world,
        objective=data.objective,
        weights=weights | data.statistics,
    )
