"""Parameter shapes: those of a network, found without the memory that it takes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from model.config import ModelConfig
from model.network.seq2seq import Seq2Seq


class _WithoutRandomNumbers(TorchFunctionMode):
    """Skips random initialisation: meta tensors have no values, and it imports for a second."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in (Tensor.normal_, nn.init.normal_):
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def network_without_values(config: ModelConfig) -> Seq2Seq:
    """The network of `config` with parameters that have shapes, but neither memory nor values."""
    with torch.device("meta"), _WithoutRandomNumbers():
        return Seq2Seq(config)


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """The shape of each parameter of the network of `config`, by its name."""
    parameters = network_without_values(config).named_parameters()
    return {name: tuple(value.shape) for name, value in parameters}
