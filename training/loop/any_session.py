"""AnySession: what the loop, its log and a dry run ask of a run, of text or of vectors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from model.checkpoint.run_directory import point, prune
from model.decoding.precision.precision import precision_of
from training.config.train_config import TrainConfig
from training.data.corpus_report import CorpusReport
from training.loop.gradient_accumulation import TrainingRows
from training.loop.loss_spikes import Spike
from training.loop.planner import Planner
from training.loop.rollback import Rollback, good_checkpoints
from training.loop.trainer import AnyTrainer, Update
from training.system.distributed import World
from training.tracking.run_record import SpikeRow
from training.validation.best import Best
from training.validation.evaluation import Evaluation


@dataclass(kw_only=True)
class AnySession(ABC):
    """The parts that every run has, and what each kind of run does with its data."""

    run: Path
    resume: bool
    """Whether the run may go on from a checkpoint; there need not be one."""
    world: World
    config: TrainConfig
    """The config of the run, every `auto` decided; see `resolve_config`."""
    digests: Mapping[str, str]
    """SHA-256 of all that the run learns from and is measured on, by the names in a checkpoint."""
    origin: str | None
    """See `new_origin`."""
    trainer: AnyTrainer[Any, Any]
    best: Best
    rollback: Rollback
    planner: Planner
    before: Mapping[str, float] = field(default_factory=dict)
    """Figures of the model that a fine-tuning begins with; see `fine_tuning.before_figures`."""

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        patience = self.config.run.patience
        done = self.trainer.steps >= self.planner.plan.steps
        return done or 0 < patience <= self.best.without_better

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Continue where the run stopped whose last training state these are."""
        self.trainer.load_state(tensors, values["trainer"])
        self.best.score, self.best.without_better = values["best_score"], values["without_better"]
        if planned := values.get("plan"):  # a run by steps has none
            self.planner.load_state(planned)
        self.trainer.plan = self.planner.plan

    @property
    @abstractmethod
    def reports(self) -> Mapping[str, CorpusReport]:
        """Report on each corpus of the training, and on "dev"."""

    @property
    @abstractmethod
    def kept(self) -> int:
        """Number of training pairs."""

    @property
    @abstractmethod
    def pairs_a_line(self) -> float:
        """Mean number of pairs that are a line of a batch."""

    @property
    @abstractmethod
    def dev_size(self) -> int:
        """Number of pairs of the dev set."""

    @abstractmethod
    def describe_data(self) -> Sequence[str]:
        """Describe the training data in lines of the log."""

    @abstractmethod
    def describe_size(self) -> str:
        """Describe the size of the network, for people."""

    @abstractmethod
    def prepare(self) -> list[str]:
        """Learn what the first process saves besides the network; describe it for the log."""

    @abstractmethod
    def evaluate_dev(self, first: int | None = None) -> Evaluation:
        """Score the averaged weights on the dev set, or on its `first` pairs."""

    @abstractmethod
    def evaluate_old_dev(self) -> Evaluation | None:
        """Score them on the dev set of the model that the run begins with, if it is named."""

    @abstractmethod
    def explain(self, spike: Spike, update: Update, rows: TrainingRows) -> SpikeRow | None:
        """Describe the batch of an update that stands out; None if that cannot be done."""

    @abstractmethod
    def write(
        self,
        evaluation: Evaluation | None,
        old_evaluation: Evaluation | None,
        training_meta: Mapping[str, Any],
    ) -> Path:
        """Write a checkpoint with this training state, and return its directory."""

    def save(
        self,
        *,
        evaluation: Evaluation | None,
        old_evaluation: Evaluation | None = None,
        best: bool = False,
    ) -> None:
        """Write a checkpoint and point `last` to it, and `best` if it is; prune older ones.

        Args:
            evaluation: that of these weights; None between two validations.
            old_evaluation: likewise, on the old dev set, if there is one.

        Raises:
            CheckpointError: the file system refused.
        """
        planned = self.planner.state()
        directory = self.write(
            evaluation,
            old_evaluation,
            {
                "best_score": self.best.score,
                "without_better": self.best.without_better,
                **({"plan": planned} if planned else {}),
                **self.digests,
                "precision": precision_of(self.trainer.dtype),
            },
        )
        if best:
            point(self.run, "best", directory)
        point(self.run, "last", directory)
        good = next(good_checkpoints(self.run), None)
        prune(self.run, self.config.run.keep, also=[good] if good else [])
