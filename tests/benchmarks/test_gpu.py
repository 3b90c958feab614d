"""The command for a GPU, as far as it can be tried without one."""

import re

import pytest
import torch

from benchmarks.gpu import main
from benchmarks.gpu_limits import Limits, step_cost
from model.config import ModelConfig
from model.decoding.torch.inference_layer import FloatProduct
from model.decoding.torch.inference_network import InferenceNetwork
from model.network.seq2seq import Seq2Seq


def test_every_check_and_measurement_on_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "--device", "cpu", "--tiny"]) == 0
    checks, speeds = capsys.readouterr().out.split("\n\n")
    equal = re.findall(r"(\d+) of (\d+) have equal pieces, (\d+) equal scores to the bit", checks)
    assert len(equal) == 2 * 2 * 2  # networks, precisions, questions
    assert all(len(set(numbers)) == 1 for numbers in equal)
    lines = [line.split() for line in speeds.splitlines()]
    for way in ("eager", "graphs"):
        measured = [line for line in lines if way in line]
        assert len(measured) == 2 * 2 * 2  # networks, precisions, rows
        assert all(float(line[-1].replace(",", "")) > 0 for line in measured)


def test_what_there_is_no_time_for_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "--device", "cpu", "--tiny", "--minutes", "0"]) == 0
    assert capsys.readouterr().out.count("left out: no time") == 16


def test_training_is_checked_and_measured_on_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--device", "cpu", "--tiny"]) == 0
    checks, speeds = capsys.readouterr().out.split("\n\n")
    beside = re.findall(r"(fp32|bf16): gradients beside float64 +differ by (\S+) of", checks)
    assert len(beside) == 4
    assert all(float(apart) < (1e-5 if of == "fp32" else 0.05) for of, apart in beside)
    assert checks.count("resumed: the same data, losses differ by 0.0e+00 at most") == 4
    learned = re.findall(r"nll (\S+) -> (\S+), 0 left out", checks)
    assert len(learned) == 4
    assert all(float(last) < float(first) for first, last in learned)
    lines = [line.split() for line in speeds.splitlines() if line.startswith(("1+1", "2+2"))]
    assert len(lines) == 4
    assert all(float(line[4].replace(",", "")) > 0 for line in lines)


@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_the_weights_of_a_step_are_those_of_the_packed_network(
    input_feeding: bool, tied: bool
) -> None:
    config = ModelConfig(
        vocab_size=50,
        embedding_size=8,
        encoder_layers=1,
        encoder_size=24,
        decoder_layers=3,
        decoder_size=16,
        input_feeding=input_feeding,
        tie_embeddings=tied,
    )
    network = InferenceNetwork(Seq2Seq(config).eval(), torch.float32)
    layers = [layer._hidden for layer in network._layers]
    products: list[FloatProduct] = [*layers, network._combine, network._output]
    weights = sum(product._weight.numel() for product in products)
    cost = step_cost(config, torch.float32, rows=10, beam=5, source=7)
    memory = 7 * (16 + 24)
    assert cost.bytes == 4 * (weights + 2 * memory)
    assert cost.flops == 2 * 10 * (weights + memory)
    assert cost.roofline_s(Limits(1.0, cost.bytes, cost.flops / 3)) == pytest.approx(3.0)
