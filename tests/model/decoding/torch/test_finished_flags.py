"""Finish flags: told once each, by sentence."""

import time

import pytest
import torch

from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.decoding.sentence import Sentence
from model.decoding.torch.finished_flags import FinishedFlags


def sentences(*ids: int) -> list[Sentence]:
    request = Request(src=(5,), options=SearchOptions())
    return [Sentence(id, request, limit=12, ruled=False) for id in ids]


def test_each_copy_is_read_once_whatever_happens_to_the_flags_behind_it() -> None:
    flags, over = FinishedFlags(5, torch.device("cpu")), torch.tensor([True, False, True])
    assert flags.read(wait=True) == set()
    flags.ask(over, sentences(7, 3, 9))
    over.fill_(True)
    assert flags.read(wait=False) == {7, 9}
    assert flags.read(wait=True) == set()
    flags.ask(over[:1], sentences(4))
    assert flags.read(wait=False) == {4}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_host_does_not_wait_for_a_busy_device() -> None:
    device = torch.device("cuda")
    flags, over = FinishedFlags(2, device), torch.tensor([True, False], device=device)
    x = torch.randn(8192, 8192, device=device)
    x @ x
    torch.cuda.synchronize()
    for _ in range(50):
        x = (x @ x).mul_(1e-4)
    flags.ask(over, sentences(1, 2))
    started = time.perf_counter()
    assert flags.read(wait=False) == set()
    assert time.perf_counter() - started < 0.01
    assert flags.read(wait=True) == {1}
