"""What a reload leaves behind: neither the model that it replaced nor the one that was no good.

Without the collector of cycles, see test_worker_freed.py.
"""

import asyncio
import gc
import logging
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.torch.inference_network import InferenceNetwork
from model.errors import CheckpointError
from service.engine.worker import Worker
from service.observability.metrics import Metrics
from service.registry.model_registry import ModelRegistry
from service.registry.models_file import ModelEntry
from tests.patience import PATIENCE_S


@pytest.fixture(autouse=True)
def uncollected() -> Iterator[None]:
    """Cycles stay for the length of a test."""
    gc.collect()
    gc.disable()
    logging.disable()  # pytest keeps the lines, and with them what was raised
    yield
    logging.disable(logging.NOTSET)
    gc.enable()


class Loads:
    """Loads a model anew each time, and remembers which are alive."""

    def __init__(self, path: Path) -> None:
        self._entry = ModelEntry(name="a", path=path)
        self._made: list[weakref.ref[Worker]] = []
        self.spoilt = ""

    @property
    def alive(self) -> list[Worker]:
        return [worker for ref in self._made if (worker := ref()) is not None]

    def read(self) -> list[ModelEntry]:
        return [self._entry]

    def build(self, entry: ModelEntry, metrics: Metrics) -> Worker:
        cpu = torch.device("cpu")
        worker = Worker(entry.name, load_checkpoint(entry.path), device=cpu, dtype=torch.float32)
        self._made.append(weakref.ref(worker))
        if self.spoilt == "load":
            raise CheckpointError("damaged")
        if self.spoilt == "start":
            network = worker._network
            assert isinstance(network, InferenceNetwork)
            network._embedding = torch.zeros(1, 1)
        return worker


async def reloaded(path: Path, spoilt: str) -> None:
    loads = Loads(path)
    registry = ModelRegistry(loads.read, loads.build, drain_s=30.0)
    await registry.start()
    try:
        loads.spoilt = spoilt
        for _ in range(2):
            await registry.reload_all()
            try:
                await registry.reload("a")
            except (CheckpointError, IndexError):
                assert spoilt
        while len(loads.alive) > 1:  # the thread that loaded the last one may not have ended
            await asyncio.sleep(0.01)
        assert loads.alive == [registry.choose(None)]
    finally:
        await registry.stop(0)


@pytest.mark.parametrize("spoilt", ["", "load", "start"])
def test_the_model_that_is_served_is_the_only_one_alive(tiny_checkpoint: Path, spoilt: str) -> None:
    asyncio.run(asyncio.wait_for(reloaded(tiny_checkpoint, spoilt), PATIENCE_S))
