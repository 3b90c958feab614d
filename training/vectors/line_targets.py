"""LineTargets: what the kind of the lines decides in a training from vectors to lines."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from model.text.profile import TextProfile
from model.text.vocabulary import Vocabulary
from model.translation.assemble import Translation
from model.vectors.frame_files import Frames
from training.config.train_config import TrainConfig
from training.config.validation_config import ValidationConfig
from training.validation.evaluation import Evaluation

Pairs = list[tuple[Frames, str, str]]
"""Sources, their lines, and where each pair stands."""

Scoring = Callable[[float, Sequence[Translation], Sequence[str], Sequence[str]], Evaluation]
"""Scores what was found for the references, or nothing of a network that has diverged; given the
loss, what was found, the references, and what is shown to people of the first sources."""


class LineTargets(ABC):
    """Targets of one kind: `SymbolTargets` or `PieceTargets`."""

    unit: ClassVar[str]
    """What a line is a sequence of."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    @property
    @abstractmethod
    def profile(self) -> TextProfile | None:
        """What a checkpoint tells of the text; None if there is none."""

    @abstractmethod
    def learned(self, pairs: Pairs) -> Vocabulary:
        """The vocabulary of all training pairs of the files.

        Raises:
            ConfigError, DataError: it cannot be learned from them.
        """

    @abstractmethod
    def scoring(self, validation: ValidationConfig) -> Scoring:
        """How outputs for the dev set are scored.

        Args:
            validation: resolved.
        """
