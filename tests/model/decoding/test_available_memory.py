"""What is available."""

import sys

import pytest
import torch

from model.decoding.available_memory import available_bytes


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_taken_is_no_longer_available() -> None:
    before = available_bytes(torch.device("cpu"))
    kept = torch.ones(500_000_000)
    assert before - available_bytes(torch.device("cpu")) > 1e9
    assert len(kept)
