"""What a long source takes, against the tensors themselves, and the refusal."""

from dataclasses import replace

import pytest
import torch

from model.config import ModelConfig
from model.decoding.long_memory import bytes_needed, check_memory, shorter
from model.decoding.torch.inference_network import InferenceNetwork
from model.errors import RequestError
from model.network.seq2seq import Seq2Seq

CONFIG = ModelConfig(vocab_size=40, embedding_size=8, encoder_size=16, decoder_size=12)
CONFIGS = {
    "general": CONFIG,
    "one layer": replace(CONFIG, encoder_layers=1),
    "dot": replace(CONFIG, attention="dot", decoder_size=16),
    "additive": replace(CONFIG, attention="additive", cell="gru"),
    "copy": replace(CONFIG, copy=True, coverage=True, attention_heads=4),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_bank_is_as_large_as_told(config: ModelConfig, dtype: torch.dtype) -> None:
    network = InferenceNetwork(Seq2Seq(config).eval(), dtype)
    memory = network.encode_long(torch.zeros(300, dtype=torch.long))
    held = {field.data_ptr(): field.nbytes for field in memory}
    wide = 2 if dtype == torch.float64 else 1  # of the network itself; the other one gives fp32
    assert bytes_needed(config, 300, dtype).bank == pytest.approx(
        sum(held.values()) * wide - 300 * 9 * (wide - 1)
    )


def test_two_arrays_take_turns_and_the_second_gives_its_place_to_the_keys() -> None:
    def beside(config: ModelConfig) -> int:
        return bytes_needed(config, 1000, torch.float32).beside

    weights = 1000 * 4  # of one hypothesis
    assert beside(replace(CONFIG, encoder_layers=1)) == weights
    assert beside(CONFIG) == 1000 * (16 - 12) * 4  # the second array without the keys
    assert beside(CONFIGS["dot"]) == 1000 * 16 * 4  # there are no keys
    assert beside(replace(CONFIG, encoder_layers=9)) == beside(CONFIG)


def test_only_the_rest_does_not_grow() -> None:
    small, large = (bytes_needed(CONFIG, n, torch.float32) for n in (200_000, 2_000_000))
    assert (large.bank, large.beside) == (10 * small.bank, 10 * small.beside)
    assert large.rest == small.rest


def test_a_source_is_refused_in_one_line_that_says_what_would_fit() -> None:
    pieces = 2_000_000
    need = bytes_needed(CONFIG, pieces, torch.float32)
    check_memory(need, pieces, need.total)
    check_memory(need, pieces, 0)  # unknown
    with pytest.raises(RequestError) as caught:
        check_memory(need, pieces, 150_000_000)
    fits = shorter(need, pieces, 150_000_000)
    assert str(caught.value) == (
        f"source: 2,000,000 pieces need {need.total / 1e9:.2f} GB of memory, and 0.15 GB are "
        f"available. Shorten the text to about {fits:,} pieces, or free memory."
    )
    assert bytes_needed(CONFIG, fits, torch.float32).total <= 150_000_000
    assert bytes_needed(CONFIG, fits + 2, torch.float32).total > 150_000_000
    assert shorter(need, pieces, 1000) == 0
