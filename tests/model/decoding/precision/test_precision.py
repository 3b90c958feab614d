"""Device and precision names, and what a cast changes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.decoding.precision.dtypes import BY_NAME
from model.decoding.precision.precision import (
    cast,
    precisions_of,
    resolve_device,
    resolve_precision,
    runnable,
)
from model.errors import ConfigError
from model.network.seq2seq import Seq2Seq
from model.translation.ensemble import Ensemble


def give_cuda_devices(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    "name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:²", "cpu:0", "CPU", ""]
)
def test_unknown_devices(name: str) -> None:
    with pytest.raises(ConfigError, match=r"is not known\. Use auto, cpu, cuda or cuda:N\."):
        resolve_device(name)


def test_devices_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    give_cuda_devices(monkeypatch, 0)
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    for name in ("cuda", "cuda:1"):
        with pytest.raises(ConfigError, match=f"{name}, but .* has no CUDA. Use cpu or auto."):
            resolve_device(name)


def test_devices_with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    give_cuda_devices(monkeypatch, 2)
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(
        ConfigError, match=r"cuda:2, but .* 2 CUDA device\(s\)\. Use cuda:0 to cuda:1"
    ):
        resolve_device("cuda:2")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "avx2": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_precision_is_bf16_where_the_device_computes_in_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolve_precision("auto", torch.device("cpu")) == expected
    assert resolve_precision("auto", torch.device("cuda")) == torch.bfloat16


def test_named_precisions() -> None:
    assert resolve_precision("fp32", torch.device("cuda")) == torch.float32
    assert resolve_precision("bf16", torch.device("cpu")) == torch.bfloat16
    with pytest.raises(ConfigError, match="precision: 'fp16' is not known"):
        resolve_precision("fp16", torch.device("cpu"))  # type: ignore[arg-type]


def test_int8_is_for_cpus_and_single_networks(make_network: Callable[..., Seq2Seq]) -> None:
    with pytest.raises(ConfigError, match="precision: int8 runs only on CPUs"):
        resolve_precision("int8", torch.device("cuda"))
    ensemble = Ensemble([make_network(), make_network(seed=2)])
    with pytest.raises(ConfigError, match="int8 is not there for an ensemble"):
        runnable(ensemble, torch.int8)


def test_auto_precision_of_a_network_is_one_that_was_measured(
    make_network: Callable[..., Seq2Seq], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = resolve_precision("auto", torch.device("cpu"), make_network())
    (remembered,) = json.loads((tmp_path / "dragoman" / "precision.json").read_text()).values()
    assert found == BY_NAME[remembered]


def test_cast_leaves_the_given_network_alone(make_network: Callable[..., Seq2Seq]) -> None:
    network = make_network()
    assert cast(network, torch.float32) is network
    assert cast(network, torch.float32, torch.device("cpu")) is network
    half = cast(network, torch.bfloat16)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert half.target_embedding.weight is half.output.weight  # still tied
    assert not half.training


@torch.inference_mode()
def test_the_cell_state_stays_fp32(make_network: Callable[..., Seq2Seq]) -> None:
    half = cast(make_network(), torch.bfloat16)
    memory = half.encode(torch.tensor([[5, 6, 3]]), torch.tensor([3]))
    state = half.start(memory)
    after, features, _ = half.step(torch.tensor([[2]]), state, memory)
    assert state.cell.dtype == after.cell.dtype == torch.float32
    assert state.hidden.dtype == after.hidden.dtype == features.dtype == torch.bfloat16


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cast_to_cuda_copies(make_network: Callable[..., Seq2Seq]) -> None:
    network = make_network()
    there = cast(network, torch.float32, torch.device("cuda"))
    assert there.output.weight.is_cuda
    assert not network.output.weight.is_cuda
    assert cast(there, torch.float32, torch.device("cuda")) is there


def test_int8_takes_sizes_in_multiples_of_four(make_network: Callable[..., Seq2Seq]) -> None:
    odd = Seq2Seq(replace(make_network().config, decoder_size=30))
    with pytest.raises(ConfigError, match="precision: int8 takes embedding_size, decoder_size"):
        resolve_precision("int8", torch.device("cpu"), odd)
    assert precisions_of(odd.config) == ["fp32", "bf16"]
    assert precisions_of(make_network().config) == ["fp32", "bf16", "int8"]
