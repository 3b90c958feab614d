"""Packed weights: the parameters of a network in int8, bf16 or fp32.

In int8, each row of a matrix has a scale for each of its blocks of columns. Columns are converted
together if the int8 kernels multiply them together, so the kernels find the bytes of the pack
again. Vectors, such as biases, stay in fp32.
"""

# Shapes: O outputs, I inputs, B blocks of columns.

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from model.config import ModelConfig
from model.decoding.native.int8_rows import Parts, combined_inputs, decoder_inputs, int8_rows
from model.decoding.precision.dtypes import BY_NAME, Precision
from model.errors import CheckpointError
from model.network.parameter_shapes import parameter_shapes

SCALES = ".scales"
"""Follows the name of a matrix in the name of its scales (B, O)."""


class _Block(NamedTuple):
    """Columns of a matrix."""

    name: str
    start: int
    stop: int
    bound: float = 1.0
    """What the weights are multiplied by before they are converted, see `Parts`."""


def pack_weights(
    weights: Mapping[str, Tensor], config: ModelConfig, precision: Precision
) -> dict[str, Tensor]:
    """Convert the parameters of a network of `config` from fp32 to `precision`."""
    if precision != "int8":
        dtype = BY_NAME[precision]
        return {name: w.to(dtype) if w.dim() > 1 else w for name, w in weights.items()}
    packed = {name: weight for name, weight in weights.items() if weight.dim() == 1}
    steps = {name: w.new_empty(w.shape, dtype=torch.int8) for name, w in weights.items()}
    scales: dict[str, list[Tensor]] = {}
    for product in _products(config):
        wide = [weights[name][:, start:stop] * bound for name, start, stop, bound in product]
        rows = int8_rows(torch.cat(wide, dim=1).numpy())
        widths = [stop - start for _, start, stop, _ in product]
        parts = torch.split(torch.from_numpy(rows.steps), widths, dim=1)
        for (name, start, stop, bound), part in zip(product, parts, strict=True):
            steps[name][:, start:stop] = part
            scales.setdefault(name, []).append(torch.from_numpy(rows.scale / np.float32(bound)))
    for name, found in scales.items():
        packed[name], packed[name + SCALES] = steps[name], torch.stack(found)
    return packed


def precision_of_stored(stored: Mapping[str, Tensor]) -> Precision:
    """The number format of the matrices of a pack."""
    dtypes = {value.dtype for value in stored.values()}
    return next((name for name in ("int8", "bf16") if BY_NAME[name] in dtypes), "fp32")


def unpack_weights(stored: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Return the parameters in fp32. Whatever no pack of `config` has comes back as it is.

    Raises:
        CheckpointError: a matrix is not of the shape that `config` wants, or lacks its scales.
    """
    blocks: dict[str, list[_Block]] = {}
    for product in _products(config):
        for block in product:
            blocks.setdefault(block.name, []).append(block)
    packed = {name for name in blocks if name in stored and stored[name].dtype == torch.int8}
    found: dict[str, Tensor] = {}
    for name, value in stored.items():
        if name in packed:
            found[name] = _dequantized(name, value, stored.get(name + SCALES), blocks[name])
        elif value.dtype == torch.bfloat16:
            found[name] = value.float()
        elif name.removesuffix(SCALES) not in packed:
            found[name] = value
    return found


def _dequantized(name: str, steps: Tensor, scales: Tensor | None, blocks: list[_Block]) -> Tensor:
    """The matrix (O, I) of its steps (O, I) and scales (B, O)."""
    inputs = blocks[-1].stop
    if steps.dim() != 2 or steps.shape[1] != inputs:
        raise CheckpointError(f"{name} is {tuple(steps.shape)}, but needs {inputs} columns.")
    wanted = (len(blocks), len(steps))
    if scales is None or scales.dtype != torch.float32 or tuple(scales.shape) != wanted:
        given = "absent" if scales is None else f"{scales.dtype} {tuple(scales.shape)}"
        raise CheckpointError(f"{name}{SCALES} is {given}, but torch.float32 {wanted} is needed.")
    parts = [
        steps[:, block.start : block.stop].float() * scale.unsqueeze(1)
        for block, scale in zip(blocks, scales, strict=True)
    ]
    return torch.cat(parts, dim=1)


def _products(config: ModelConfig) -> list[list[_Block]]:
    """The matrices of a network of `config`, divided into products.

    The blocks of each matrix occur from left to right. See `NativeNetwork`, `NativeEncoder` and
    `Layer` for the products.
    """
    products: list[list[_Block]] = []
    for name, shape in parameter_shapes(config).items():
        if len(shape) < 2:
            continue
        inputs = shape[1]
        if name.startswith("decoder.layers."):
            products += _decoder_products(name, inputs, config)
        elif name == "decoder.combine.weight":
            products.append(list(_placed(name, combined_inputs(config), inputs)))
        else:
            products.append([_Block(name, 0, inputs)])
    return products


def _decoder_products(name: str, inputs: int, config: ModelConfig) -> Iterator[list[_Block]]:
    """The products of one of the two matrices of a decoder layer."""
    if "weight_hh" in name:
        if config.cell == "gru":  # the reset gate comes between the two products
            yield [_Block(name, 0, inputs)]
        return  # with the inputs, below
    number = int(name.split(".")[2])
    multiplied = list(_placed(name, decoder_inputs(config, number), inputs))
    looked_up = multiplied[0].start if multiplied else inputs
    if looked_up:
        yield [_Block(name, 0, looked_up)]
    if config.cell != "gru":
        hidden = name.replace("weight_ih", "weight_hh")
        multiplied.append(_Block(hidden, 0, config.decoder_size))
    if multiplied:
        yield multiplied


def _placed(name: str, parts: Parts, inputs: int) -> Iterator[_Block]:
    """The blocks of `parts`, which are the last of `inputs` columns."""
    start = inputs - sum(width for width, _ in parts)
    for width, bound in parts:
        yield _Block(name, start, start + width, bound)
        start += width
