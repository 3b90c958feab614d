"""Packed weights: the int8 kernels find the bytes of the pack again, and nothing is far off."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from model.checkpoint.packed_weights import SCALES, pack_weights, unpack_weights
from model.config import ModelConfig
from model.decoding.native.layer import Layer
from model.decoding.native.network import NativeNetwork
from model.decoding.native.product import Int8Product
from model.errors import CheckpointError
from model.network.seq2seq import Seq2Seq
from tests.conftest import random_network

SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "embedding_size": 12,
    "encoder_size": 16,
    "decoder_size": 20,
    "encoder_layers": 3,
    "decoder_layers": 3,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "lstm, feeding": {"input_feeding": True},
    "lstm": {"input_feeding": False, "copy": True, "coverage": True},
    "gru, feeding": {"cell": "gru", "input_feeding": True},
    "gru": {"cell": "gru", "input_feeding": False},
    "rnn": {"cell": "rnn", "input_feeding": False, "attention": "additive"},
    "one layer, untied": {
        "encoder_layers": 1,
        "decoder_layers": 1,
        "tie_embeddings": False,
        "input_feeding": False,
    },
}


def network_of(name: str) -> Seq2Seq:
    return random_network(ModelConfig(**(SIZES | CONFIGS[name])), seed=3)


def weights_of(network: Seq2Seq) -> dict[str, Tensor]:
    return {name: weight.detach() for name, weight in network.named_parameters()}


def with_weights(network: Seq2Seq, weights: Mapping[str, Tensor]) -> Seq2Seq:
    other = copy.deepcopy(network)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            parameter.copy_(weights[name])
    return other


def products_of(network: NativeNetwork) -> dict[str, Int8Product]:
    """The products whose weights are those of parameters, not products of two of them."""

    def of_layer(name: str, layer: Layer) -> dict[str, Int8Product | None]:
        return {f"{name} product": layer.product, f"{name} hidden": layer._from_hidden}

    found: dict[str, Int8Product | None] = {"combine": network.combine, "bridge": network._bridge}
    found |= {"keys": network._keys, "query": network._query}
    for n, layer in enumerate(network.layers):
        found |= of_layer(f"decoder {n}", layer)
    for n, pair in enumerate(network.encoder._layers):
        for d, layer in enumerate(pair):
            found |= of_layer(f"encoder {n} {d}", layer)
    for n, inputs in enumerate(network.encoder._inputs):
        found |= {f"inputs {n} {d}": product for d, product in enumerate(inputs)}
    if not network.config.input_feeding:  # else the layer in between is multiplied into it
        found["output"] = network.output
    return {name: product for name, product in found.items() if product is not None}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_int8_kernels_find_the_same_bytes(name: str) -> None:
    network = network_of(name)
    config = network.config

    stored = pack_weights(weights_of(network), config, "int8")
    read = with_weights(network, unpack_weights(stored, config))

    one, other = products_of(NativeNetwork(network)), products_of(NativeNetwork(read))
    assert one.keys() == other.keys()
    for product, expected in one.items():
        given = other[product].weights
        np.testing.assert_array_equal(given.weight, expected.weights.weight, err_msg=product)
        np.testing.assert_allclose(given.scale, expected.weights.scale, rtol=1e-6)


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_packed_twice_is_the_same(name: str) -> None:
    network = network_of(name)
    stored = pack_weights(weights_of(network), network.config, "int8")

    again = pack_weights(unpack_weights(stored, network.config), network.config, "int8")

    for key, value in stored.items():
        if not key.endswith(SCALES):
            assert torch.equal(again[key], value), key


@pytest.mark.parametrize("name", CONFIGS)
def test_each_matrix_is_a_byte_a_weight_and_near(name: str) -> None:
    network = network_of(name)
    weights = weights_of(network)

    stored = pack_weights(weights, network.config, "int8")
    read = unpack_weights(stored, network.config)

    assert read.keys() == weights.keys()
    for key, weight in weights.items():
        assert read[key].shape == weight.shape
        if weight.dim() == 1:
            assert torch.equal(read[key], weight)
        else:
            assert stored[key].dtype == torch.int8
            # At most half a step of the largest scale of the row.
            step = stored[key + SCALES].amax(dim=0).unsqueeze(1)
            assert bool(((read[key] - weight).abs() <= 0.501 * step).all())


def test_other_formats_store_matrices_in_them_and_vectors_in_fp32() -> None:
    network = network_of("lstm")
    weights = weights_of(network)

    bf16 = pack_weights(weights, network.config, "bf16")
    fp32 = pack_weights(weights, network.config, "fp32")

    assert {w.dtype for w in bf16.values() if w.dim() > 1} == {torch.bfloat16}
    assert {w.dtype for w in bf16.values() if w.dim() == 1} == {torch.float32}
    for key, weight in unpack_weights(bf16, network.config).items():
        expected = weights[key].bfloat16().float() if weight.dim() > 1 else weights[key]
        assert torch.equal(weight, expected)
    for key, weight in unpack_weights(fp32, network.config).items():
        assert torch.equal(weight, weights[key])


def test_scales_of_no_packed_matrix_come_back() -> None:
    """So that they are refused as any other tensor that the network does not have."""
    network = network_of("lstm")
    stored = pack_weights(weights_of(network), network.config, "int8")
    more = {"more" + SCALES: torch.ones(3), "decoder.combine.weight" + 2 * SCALES: torch.ones(3)}
    unpacked = unpack_weights({**stored, **more}, network.config)
    assert unpacked.keys() - weights_of(network).keys() == more.keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("decoder.combine.weight" + SCALES, None),
        ("decoder.combine.weight" + SCALES, torch.ones(3, 12)),
        ("decoder.combine.weight" + SCALES, torch.ones(2, 12, dtype=torch.float64)),
        ("decoder.combine.weight", torch.ones(12, 35, dtype=torch.int8)),
        ("decoder.combine.weight", torch.ones(12, dtype=torch.int8)),
    ],
)
def test_a_matrix_of_another_form_is_refused(name: str, value: Tensor | None) -> None:
    network = network_of("lstm")
    stored = pack_weights(weights_of(network), network.config, "int8")
    if value is None:
        del stored[name]
    else:
        stored[name] = value

    with pytest.raises(CheckpointError, match=r"decoder\.combine\.weight"):
        unpack_weights(stored, network.config)
