"""Dev set of a run: what its validation measures, for any checkpoint after the training."""

from dataclasses import dataclass
from pathlib import Path

import torch

from model.checkpoint.checkpoint import Checkpoint
from training.config.train_config import load_config
from training.config.validation_config import ValidationConfig
from training.data.text_corpus import TextPairs, encode_corpus, read_pairs
from training.validation.evaluation import Evaluation
from training.validation.validate import validate


@dataclass(frozen=True, kw_only=True, slots=True)
class DevSet:
    """The pairs that a run is validated on, and how."""

    run: Path
    pairs: TextPairs
    validation: ValidationConfig
    """Resolved."""

    def evaluate(self, checkpoint: Checkpoint, device: torch.device) -> Evaluation:
        """Score a checkpoint, in fp32 and with its own search options and tokenizer."""
        corpus = encode_corpus(
            self.pairs,
            checkpoint.id_vocabulary,
            max_length=None,
            normalization=checkpoint.profile.normalization,
        )
        return validate(
            checkpoint.network.to(device),
            corpus,
            checkpoint.id_vocabulary,
            checkpoint.search,
            profile=checkpoint.profile,
            validation=self.validation,
            samples=0,
            dtype=torch.float32,
        )


def load_dev_set(run: Path) -> DevSet:
    """Read the dev set that the config of `run` names.

    Raises:
        ConfigError: the config is missing or damaged.
        DataError: the data are not there, or damaged.
    """
    config = load_config(run / "config.yaml")
    pairs = read_pairs(config.data.dev, config.data)
    validation = config.validation.resolved(config.data.target_language, pairs.targets)
    return DevSet(run=run, pairs=pairs, validation=validation)


def run_named(path: Path) -> Path | None:
    """The run that `path` is, or is a checkpoint of, if it has a config."""
    return path if (path / "config.yaml").is_file() else run_of(path.resolve())


def run_of(checkpoint: Path) -> Path | None:
    """The run that a checkpoint directory is of, if it lies in one.

    It is in the folder of the checkpoints, or, if the run was copied without its links, in the
    place of a link. A pack is of no run: it may lie beside the config.yaml of anything.
    """
    if checkpoint.is_file():
        return None
    run = checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent
    return run if (run / "config.yaml").is_file() else None
