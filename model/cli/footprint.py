"""Footprint: the memory that a model takes in the engine, for weights and for slots."""

from collections import deque
from dataclasses import dataclass
from types import FunctionType, MethodType, ModuleType

import numpy as np
import torch
from torch import Tensor

from model.checkpoint.checkpoint import Checkpoint
from model.cli.timing import Workload, make_engine
from model.decoding.engine import Engine
from model.decoding.request import Request
from model.text.tokenizer import EOS_ID


@dataclass(frozen=True, kw_only=True, slots=True)
class Footprint:
    """Bytes of the tensors that an engine holds on the CPU, for the search options of a checkpoint.

    An engine of n slots holds `fixed_bytes + n * slot_bytes`. Intermediate results of a step, and
    PyTorch itself, come on top of that.
    """

    fixed_bytes: int
    """Weights, and the tables that are made from them at load."""
    slot_bytes: int
    """Memory, state, beam and history of one sentence of maximal length."""


def footprint(checkpoint: Checkpoint, precision: str) -> Footprint:
    """Compute the footprint from the shapes in two engines, of one slot and of two."""
    one, two = (tensor_bytes(_warm_engine(checkpoint, precision, slots)) for slots in (1, 2))
    return Footprint(fixed_bytes=one - (two - one), slot_bytes=two - one)


def _warm_engine(checkpoint: Checkpoint, precision: str, slots: int) -> Engine:
    """An engine that has translated one piece, so that everything made on demand exists."""
    load = Workload(
        run=checkpoint.path,
        device="cpu",
        precision=precision,
        in_flight=slots,
        beam_size=checkpoint.search.beam_size,
    )
    engine = make_engine(checkpoint, load)
    width = checkpoint.config.source_width
    src, frames = ((EOS_ID,), torch.zeros(1, width)) if width else ((EOS_ID + 1,), None)
    engine.add(Request(src=src, frames=frames, options=checkpoint.search))
    while engine.busy:
        engine.step()
    return engine


def tensor_bytes(root: object) -> int:
    """Bytes of all tensors and arrays reachable from `root`, counting each storage once."""
    storages: dict[int, int] = {}
    seen: set[int] = set()
    ahead = [root]
    while ahead:
        thing = ahead.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, Tensor):
            start, size = _storage(thing)
            storages[start] = size
        elif isinstance(thing, np.ndarray):
            storages[thing.ctypes.data] = thing.nbytes
        else:
            ahead += _parts(thing)
    return sum(storages.values())


def _storage(tensor: Tensor) -> tuple[int, int]:
    """Identity and bytes of a storage."""
    if tensor.layout != torch.strided:  # packed by oneDNN: it shows no storage
        return id(tensor), tensor.numel() * tensor.element_size()
    storage = tensor.untyped_storage()
    return storage.data_ptr(), storage.nbytes()


def _parts(thing: object) -> list[object]:
    """The objects that `thing` holds."""
    if isinstance(thing, dict):
        return list(thing.values())
    if isinstance(thing, list | tuple | set | deque):
        return list(thing)
    if isinstance(thing, type | ModuleType | FunctionType | MethodType):
        return []
    slots = [getattr(thing, name) for name in getattr(type(thing), "__slots__", ())]
    return [*vars(thing).values(), *slots] if hasattr(thing, "__dict__") else slots
