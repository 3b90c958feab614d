"""Precision: where a network computes and in which number format.

fp32 everywhere, or bf16 weights and activations. Long sums stay fp32 in either: the cell state of
the decoder, the softmax of the attention, the log-probabilities and scores of the search.
"""

import copy
from typing import Literal

import torch

from model.errors import ConfigError
from model.network.seq2seq import Seq2Seq


def resolve_device(name: str) -> torch.device:
    """The device called `auto` (CUDA where there is one, else the CPU), `cpu`, `cuda` or `cuda:N`.

    Raises:
        ConfigError: another name, no CUDA, or a CUDA device that this machine does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, _, index = name.partition(":")
    if kind != "cuda" or (name != "cuda" and not (index.isascii() and index.isdecimal())):
        raise ConfigError(f"device: {name!r} is not known. Use auto, cpu, cuda or cuda:N.")
    if not torch.cuda.is_available():
        raise ConfigError(
            f"device: {name}, but this machine or this build of torch has no CUDA. Use cpu or auto."
        )
    count = torch.cuda.device_count()
    if int(index or 0) >= count:
        raise ConfigError(
            f"device: {name}, but this machine has {count} CUDA device(s). "
            f"Use cuda:0 to cuda:{count - 1}."
        )
    return torch.device(name)


def resolve_precision(name: Literal["auto", "fp32", "bf16"], device: torch.device) -> torch.dtype:
    """The dtype called `fp32` or `bf16`; `auto` is bf16 where the device computes in it, else fp32.

    Raises:
        ConfigError: another name.
    """
    if name not in ("auto", "fp32", "bf16"):
        raise ConfigError(f"precision: {name!r} is not known. Use auto, fp32 or bf16.")
    if name == "auto":
        name = "bf16" if device.type == "cuda" or _cpu_computes_bf16() else "fp32"
    return torch.bfloat16 if name == "bf16" else torch.float32


def cast(network: Seq2Seq, dtype: torch.dtype, device: torch.device | None = None) -> Seq2Seq:
    """The network in `dtype`, and on `device` if one is given.

    The given network stays as it is: it is returned itself where nothing changes, else a copy.
    """
    weight = network.output.weight
    place = weight.device if device is None else device
    if weight.dtype == dtype and weight.device == torch.empty(0, device=place).device:
        return network
    return copy.deepcopy(network).to(device=place, dtype=dtype)


def _cpu_computes_bf16() -> bool:
    """Whether the CPU has bf16 products; without them bf16 is emulated and slower than fp32."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
