"""Model loader: makes a worker from an entry of the models file."""

import logging
from dataclasses import dataclass
from typing import Literal

import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.config import from_dict, to_dict
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import precision_of, resolve_device, resolve_precision
from model.errors import ConfigError
from service.engine.sequence_worker import SequenceWorker
from service.engine.worker import Worker
from service.observability.metrics import Metrics
from service.registry.models_file import ModelEntry, profile_of
from service.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelLoader:
    """Device, precision and shortlist of models whose entries do not specify them."""

    device: torch.device
    precision: Literal["auto", "fp32", "bf16", "int8"]
    shortlist: bool
    stuck_s: float

    @classmethod
    def from_settings(cls, settings: Settings) -> "ModelLoader":
        """Create a loader from the settings, and set the number of torch threads of the process.

        Raises:
            ConfigError: there is no such device.
        """
        device = resolve_device(settings.device)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        return cls(
            device=device,
            precision=settings.precision,
            shortlist=settings.shortlist,
            stuck_s=settings.stuck_s,
        )

    def load(self, entry: ModelEntry, metrics: Metrics) -> Worker | SequenceWorker:
        """Load the model of `entry` into a worker that is not yet started and updates `metrics`.

        Raises:
            DragomanError: the checkpoint is missing or damaged, or does not support the entry.
        """
        checkpoint = load_checkpoint(entry.path)
        precision = entry.precision or self.precision
        dtype = resolve_precision(precision, self.device, checkpoint.network)
        log.info(
            "model %s: %s, device %s, precision %s, threads %d",
            entry.name,
            checkpoint.path,
            self.device,
            precision_of(dtype),
            torch.get_num_threads(),
        )
        if not checkpoint.is_text:
            _check_for_sequences(entry)
            return SequenceWorker(
                entry.name,
                checkpoint,
                device=self.device,
                dtype=dtype,
                defaults=_defaults(entry, checkpoint),
                stuck_s=self.stuck_s,
                metrics=metrics,
            )
        wanted = self.shortlist if entry.shortlist is None else entry.shortlist
        return Worker(
            entry.name,
            checkpoint,
            device=self.device,
            dtype=dtype,
            shortlist=checkpoint.shortlist_if(wanted),
            defaults=_defaults(entry, checkpoint),
            profile=profile_of(entry, checkpoint),
            stuck_s=self.stuck_s,
            metrics=metrics,
        )


def _defaults(entry: ModelEntry, checkpoint: Checkpoint) -> SearchOptions:
    try:
        return from_dict(SearchOptions, to_dict(checkpoint.search) | dict(entry.options))
    except ConfigError as error:
        raise ConfigError(f"options of model {entry.name}: {error}") from error


def _check_for_sequences(entry: ModelEntry) -> None:
    """Check that the entry of a model of symbols or vectors asks for nothing that only text has.

    Raises:
        ConfigError: naming the first key that does.
    """
    for key in ("source", "target", "task", "shortlist"):
        if getattr(entry, key):
            raise ConfigError(
                f"{key} of model {entry.name}: it is for text, and this model is not from text "
                "to text. Leave it out."
            )
