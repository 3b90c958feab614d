"""Distributed training: the processes that torchrun starts, and what they share.

Without torchrun there is one process, and nothing here does anything.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from model.decoding.precision.precision import resolve_device
from model.errors import ConfigError, DragomanError
from training.system.rendezvous import attempt_store, connect

PATIENCE = timedelta(hours=24)
"""How long the others wait while the first process learns a vocabulary, validates or saves."""

T = TypeVar("T")
Number = TypeVar("Number", bound=np.generic)


class PeerLost(DragomanError):
    """Another process of the training has ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """This process among those that train together. The first one logs, validates and saves."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # on this machine
    local_size: int = 1
    readers: dist.ProcessGroup | None = None
    """In which threads exchange data while the main threads exchange gradients."""

    @property
    def leads(self) -> bool:
        """Whether this is the first process."""
        return self.rank == 0

    def shared(self, make: Callable[[], T]) -> T:
        """Call `make` in the first process only; return its result in all of them."""
        if self.size == 1:
            return make()
        box = [make() if self.leads else None]
        dist.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[return-value]

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum `tensor` over the processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def highest(self, number: int) -> int:
        """Return the greatest `number` of all processes."""
        if self.size == 1:
            return number
        box = torch.tensor(number)
        dist.all_reduce(box, dist.ReduceOp.MAX)
        return int(box)

    def exchange(
        self, parts: Sequence[NDArray[Number]], sizes: Sequence[int]
    ) -> list[NDArray[Number]]:
        """Give each process its part; return what each gave to this one, of these `sizes`.

        A thread of each process calls this, in the same order in all.
        """
        sent = torch.from_numpy(np.concatenate(parts))
        got = torch.empty(sum(sizes), dtype=sent.dtype)
        dist.all_to_all_single(
            got, sent, list(sizes), [len(part) for part in parts], group=self.readers
        )
        return np.split(got.numpy(), np.cumsum(sizes)[:-1])

    def device(self, name: str) -> torch.device:
        """Resolve a device by name; with several GPUs, each process takes its own.

        Raises:
            ConfigError: there is none, or all processes of a machine would have the same GPU.
        """
        device = resolve_device(name)
        if device.type != "cuda" or self.local_size == 1:
            return device
        if ":" in name:
            raise ConfigError(
                f"run.device: {name} is one GPU for {self.local_size} processes. Use cuda: each "
                "takes its own."
            )
        torch.cuda.set_device(self.local_rank)
        return torch.device("cuda", self.local_rank)

    def threads(self, wanted: int) -> int:
        """Return `wanted` CPU threads, or for 0 this process's share of the usable cores."""
        return wanted or max(usable_cores() // self.local_size, 1)


def equal_part(total: int, number: int, count: int) -> slice:
    """Slice `number` of `count` consecutive slices of nearly equal size, by which work is shared.

    All slices together are everything; one is empty only if `total` is less than `count`.
    """
    return slice(number * total // count, (number + 1) * total // count)


ALONE = World()
"""One process, without torchrun."""


@contextmanager
def joined(device: str) -> Iterator[World]:
    """Join the processes that torchrun describes in the environment, if any.

    Args:
        device: `run.device` of the config. GPUs exchange gradients by NCCL, CPUs by gloo.

    Raises:
        ConfigError: there is no such device.
        PeerLost: another process ended before this one.
    """
    world = World(
        rank=int(os.environ.get("RANK", 0)),
        size=int(os.environ.get("WORLD_SIZE", 1)),
        local_rank=int(os.environ.get("LOCAL_RANK", 0)),
        local_size=int(os.environ.get("LOCAL_WORLD_SIZE", 1)),
    )
    if world.size == 1:
        yield world
        return
    cuda = resolve_device(device).type == "cuda"
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda else "gloo",
            store=attempt_store(connect(PATIENCE), world.rank, world.size),
            rank=world.rank,
            world_size=world.size,
            timeout=PATIENCE,
        )
        readers = dist.new_group(backend="gloo", timeout=PATIENCE)
        yield replace(world, readers=readers)
    except RuntimeError as error:
        if not _is_lost_peer(error):
            raise
        raise PeerLost(
            f"process {world.rank} has lost another one of this training, whose own message says "
            "why. Start again with --resume; torchrun does so by itself with --max-restarts."
        ) from error
    dist.destroy_process_group()


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_lost_peer(error: RuntimeError) -> bool:
    if isinstance(error, dist.DistError):
        return True
    return "gloo" in str(error) and "onnection" in str(error)
