"""ObjectiveConfig and FinetuneConfig: what training minimises, and the weights it starts from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.errors import ConfigError
from training.config.data_config import CorpusConfig

Risk = Literal["bleu", "chrf", "rouge"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveConfig:
    """What training minimises besides the label-smoothed likelihood; docs/objectives.md."""

    rdrop: float = 0.0
    """Weight of the divergence between two passes with different dropout (Liang et al. 2021)."""
    variational_dropout: bool = False
    """One dropout mask for all positions of a sentence (Gal & Ghahramani 2016)."""
    guided_alignment: float = 0.0
    """Weight of the attention's cross entropy against a learned alignment (Chen et al. 2016)."""
    coverage: float = 0.0
    """Weight of the overlap of the attention with its past (See et al. 2017, eq. 12 and 13)."""
    coverage_start: float = 0.8
    """Share of the run after which that counts."""
    teacher: tuple[Path, ...] = ()
    """Runs or checkpoints whose distribution is learned; several are an ensemble."""
    distillation: float = 0.0
    """Share of the teacher in the loss; the data has the rest (Kim & Rush 2016)."""
    scheduled_sampling: float = 0.0
    """Share of the network's own pieces that the decoder reads at the end (Bengio et al. 2015)."""
    sampling_schedule: Literal["inverse_sigmoid", "linear"] = "inverse_sigmoid"
    """How that share rises from 0 over the run."""
    risk_weight: float = 0.0
    """Share of the expected risk in the loss; the likelihood has the rest (Shen et al. 2016)."""
    risk: Risk = "bleu"
    """The risk of a translation: 1 minus this score, of the sentence."""
    risk_samples: int = 8
    """Translations drawn for each sentence."""
    risk_sharpness: float = 0.005
    """Exponent of their probabilities: the higher, the more the most probable ones count."""

    def __post_init__(self) -> None:
        for name in ("rdrop", "guided_alignment", "coverage"):
            if not 0 <= getattr(self, name) <= 100:
                raise ConfigError(f"objective.{name}: {getattr(self, name)} is not in 0 to 100.")
        for name in ("distillation", "scheduled_sampling", "risk_weight", "coverage_start"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"objective.{name}: {getattr(self, name)} is not in 0 to 1.")
        if bool(self.teacher) != bool(self.distillation):
            given, missing = ("teacher", "distillation")[:: 1 if self.teacher else -1]
            raise ConfigError(f"objective.{given}: without objective.{missing} it has no effect.")
        if not 2 <= self.risk_samples <= 64:
            raise ConfigError(f"objective.risk_samples: {self.risk_samples} is not in 2 to 64.")
        if not 0 < self.risk_sharpness <= 10:
            raise ConfigError(
                f"objective.risk_sharpness: {self.risk_sharpness} is not above 0 and at most 10."
            )
        if self.risk_weight == 1 and (self.rdrop or self.guided_alignment or self.distillation):
            raise ConfigError(
                "objective.risk_weight: 1 leaves nothing to rdrop, guided_alignment and "
                "distillation. Lower it, or leave them out."
            )

    def check_copying(self, copies: bool) -> None:
        """Check that a network that copies is asked for nothing that reads its output layer alone.

        Raises:
            ConfigError: `copies`, and there is a teacher's distribution or sampling.
        """
        for name in ("distillation", "scheduled_sampling"):
            if copies and getattr(self, name):
                raise ConfigError(
                    f"objective.{name}: it is not there for a network that copies. Leave it out, "
                    "or set model.copy to false."
                )

    def check_dropout(self, *rates: float) -> None:
        """Check that there is dropout where an objective needs it.

        Raises:
            ConfigError: all `rates` are 0, so that two passes are one, or no mask is drawn.
        """
        for name in ("rdrop", "variational_dropout"):
            if getattr(self, name) and not any(rates):
                raise ConfigError(
                    f"objective.{name}: it has no effect without dropout. Set model.dropout or "
                    "model.embedding_dropout, or leave it out."
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class FinetuneConfig:
    """The trained model that a run starts from, and which of its parameters stay frozen."""

    init_from: Path | None = None
    """A run (its best checkpoint), a checkpoint, a pack or a model in the box: weights, and the
    tokenizer if none is named."""
    freeze: tuple[str, ...] = ()
    """Patterns such as `encoder.*`: parameters with such names keep their values."""
    old_dev: CorpusConfig | None = None
    """The dev set of that model: measured at each validation, to show what is forgotten."""

    def __post_init__(self) -> None:
        if self.old_dev and self.init_from is None:
            raise ConfigError(
                "finetune.old_dev: without finetune.init_from there is nothing to forget. Name a "
                "trained model, or leave it out."
            )
        if self.old_dev and (self.old_dev.weight != 1 or self.old_dev.weight_column):
            raise ConfigError("finetune.old_dev: weights are for training. Leave them out.")
        if self.freeze and self.init_from is None:
            raise ConfigError(
                "finetune.freeze: without finetune.init_from random weights would stay as they "
                "are. Name a trained model, or leave it out."
            )
