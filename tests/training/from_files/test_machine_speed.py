"""The speed of the machine is that of real updates."""

import torch

from model.config import ModelConfig
from training.from_files.choose_settings import Statistics
from training.from_files.machine_speed import measure_speed


def test_a_larger_network_is_slower() -> None:
    """Sixteen times the width: no noise of a busy machine can hide that."""
    lengths = Statistics(pairs=1, source_pieces=10.4, target_pieces=9.6, longest=20)
    rates = []
    for size in (16, 256):
        model = ModelConfig(
            vocab_size=500, embedding_size=size, encoder_size=size, decoder_size=size
        )
        speed = measure_speed(model, lengths, torch.device("cpu"), cores=1)
        assert speed.threads == 1
        assert speed.precision in ("fp32", "bf16")
        rates.append(speed.pieces_per_s)
    assert rates[0] > rates[1] > 0
