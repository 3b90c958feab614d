"""Precision: on which device a network computes and in which number format.

Precision means that of the matrix products, see `FloatProduct`. Long sums are always fp32: the cell
state of the decoder, the attention, the log-probabilities and scores of the search.
"""

import copy
from typing import Literal

import torch
from torch import nn

from model.config import ModelConfig
from model.decoding.native.network import NativeNetwork, has_int8
from model.decoding.precision.dtypes import BY_NAME, PRECISIONS, Precision
from model.decoding.precision.fastest_precision import fastest_precision
from model.decoding.torch.inference_network import InferenceNetwork
from model.errors import ConfigError
from model.network.cells import cpu_computes_bf16
from model.network.seq2seq import Seq2Seq


def resolve_device(name: str) -> torch.device:
    """The device called `auto` (CUDA where there is one, else the CPU), `cpu`, `cuda` or `cuda:N`.

    Raises:
        ConfigError: the name is unknown, or there is no CUDA or no such device on this machine.
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


def resolve_precision(
    name: Literal["auto", "fp32", "bf16", "int8"],
    device: torch.device,
    network: Seq2Seq | None = None,
) -> torch.dtype:
    """The dtype that stands for a precision: float32, bfloat16 or int8.

    `auto` is bf16 on CUDA. On a CPU it is the one measured to be the fastest for `network`, see
    `fastest_precision`; without a network it is bf16 if the CPU supports it.

    Raises:
        ConfigError: the name is unknown, or int8 is asked for on CUDA or with unsuitable sizes.
    """
    if name not in ("auto", *PRECISIONS):
        raise ConfigError(f"precision: {name!r} is not known. Use auto, fp32, bf16 or int8.")
    if name == "auto":
        name = _automatic(device, network)
    if name == "int8" and device.type != "cpu":
        raise ConfigError("precision: int8 runs only on CPUs. Use auto, fp32 or bf16.")
    if name == "int8" and network is not None and network.config.has_vectors:
        raise ConfigError("precision: int8 is for text, not for vectors. Use auto, fp32 or bf16.")
    if name == "int8" and network is not None and not has_int8(network.config):
        raise ConfigError(
            "precision: int8 takes embedding_size, decoder_size and half the encoder_size in "
            "multiples of 4, and those of this model are not. Use auto, fp32 or bf16."
        )
    return BY_NAME[name]


def precisions_of(config: ModelConfig) -> list[Precision]:
    """The precisions in which a network can be loaded on a CPU."""
    return [name for name in PRECISIONS if name != "int8" or has_int8(config)]


def _automatic(device: torch.device, network: Seq2Seq | None) -> Precision:
    if network is not None and network.config.has_vectors:
        return "fp32"  # it gives numbers, whose digits count
    if device.type == "cuda":
        return "bf16"
    candidates: list[Precision] = ["fp32"]
    if cpu_computes_bf16():
        candidates.append("bf16")
    if network is None:
        return candidates[-1]
    # Several networks together run as they are, see `runnable`.
    if type(network) is not Seq2Seq:
        return candidates[-1]
    if has_int8(network.config):
        candidates.append("int8")
    return fastest_precision(network, candidates)


def precision_of(dtype: torch.dtype) -> Precision:
    """The name of a dtype from `resolve_precision`."""
    return next(name for name, value in BY_NAME.items() if value == dtype)


Runnable = Seq2Seq | InferenceNetwork | NativeNetwork


def runnable(network: Runnable, dtype: torch.dtype, device: torch.device | None = None) -> Runnable:
    """Lay out the network for inference in the precision `dtype`, on `device`.

    An ensemble is not laid out: its members run as they are. So does a network with vectors.

    Raises:
        ConfigError: int8 is asked for with an ensemble.
    """
    if isinstance(network, InferenceNetwork | NativeNetwork):
        return network
    if type(network) is Seq2Seq and not network.config.has_vectors:
        if dtype == torch.int8:
            return NativeNetwork(network)
        return InferenceNetwork(cast(network, torch.float32, device), dtype)
    if dtype == torch.int8:
        what = "vectors" if network.config.has_vectors else "an ensemble"
        raise ConfigError(f"precision: int8 is not there for {what}. Use auto, fp32 or bf16.")
    return cast(network, dtype, device)


def cast(network: Seq2Seq, dtype: torch.dtype, device: torch.device | None = None) -> Seq2Seq:
    """The network in `dtype`, and on `device` if one is given.

    The given network is not changed: the result is a copy, or itself if nothing differs.
    """
    weight = network.output.weight
    place = weight.device if device is None else device
    if weight.dtype == dtype and weight.device == torch.empty(0, device=place).device:
        return network
    cast = copy.deepcopy(network).to(device=place, dtype=dtype)
    for module in cast.modules():
        if isinstance(module, nn.RNNBase):
            # On CUDA its weights must be contiguous, or each call gathers them, with a warning.
            module.flatten_parameters()
    return cast
