"""Catalogue: the models being served."""

import time
from dataclasses import dataclass, field
from typing import Literal

from service.errors import NoSuchModel
from service.worker import Worker


@dataclass(slots=True)
class Served:
    """A model, what it is for, and the worker that runs it now."""

    name: str
    task: Literal["translate", "summarize"]
    source: str | None
    target: str | None
    worker: Worker
    loaded_at: float = field(default_factory=time.time)


class Catalogue:
    """Finds the model for a request."""

    def __init__(self, models: list[Served]) -> None:
        self.models = models

    def start(self) -> None:
        """Load and warm all models."""
        for model in self.models:
            model.worker.start()

    def stop(self, drain_s: float) -> None:
        """Stop all of them."""
        for model in self.models:
            model.worker.stop(drain_s)

    def choose(self, task: str, name: str | None, source: str | None, target: str | None) -> Worker:
        """The worker of the model that fits.

        Raises:
            NoSuchModel: none does.
        """
        for model in self.models:
            if (
                model.task == task
                and name in (None, model.name)
                and source in (None, model.source)
                and target in (None, model.target)
            ):
                return model.worker
        raise NoSuchModel("No model here fits this request. /v1/models lists those there are.")

    def language(self, worker: Worker) -> str | None:
        """The source language of the model that `worker` runs."""
        return next((model.source for model in self.models if model.worker is worker), None)

    async def reload(self, name: str) -> None:
        """Replace the model by what is at its path now.

        Raises:
            NoSuchModel: there is none of that name.
        """
        if name not in {model.name for model in self.models}:
            raise NoSuchModel("No model has this name. /v1/models lists those there are.")
