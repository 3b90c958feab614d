"""Graphs: a rehearsal leaves no trace, and each shape is captured once."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from model.decoding.cuda.graphs import (
    WARM_UPS,
    CapturedRunner,
    CudaCapture,
    PlainRunner,
    Work,
    rehearse,
)
from model.decoding.cuda.launch import StepLaunch
from model.decoding.options import SearchOptions, length_limit
from model.decoding.request import Request
from model.decoding.rules.word_limits import PieceWords
from model.decoding.sentence import Sentence
from model.decoding.state.slots import Slots
from model.decoding.torch.inference_network import InferenceNetwork
from model.decoding.torch.torch_search import NONE_RULED, TorchSearch
from model.network.seq2seq import Seq2Seq


def search_in_flight(network: Seq2Seq) -> tuple[TorchSearch, list[Sentence]]:
    """Three sentences in six slots, after three steps."""
    slots = Slots(
        count=6,
        beam_size=3,
        steps=12,
        source=32,
        continues=torch.zeros(network.config.vocab_size, dtype=torch.bool),
        words=PieceWords.one_each(network.config.vocab_size),
    )
    search = TorchSearch(InferenceNetwork(network, torch.float32), slots, None, StepLaunch())
    active = []
    for slot, length in enumerate((3, 20, 9)):
        options = SearchOptions(beam_size=3, min_length=8, max_length_a=0, max_length_b=11)
        request = Request(src=(5 + slot,) * length, options=options)
        sentence = Sentence(slot, request, length_limit(options, length), ruled=False)
        (encoded,) = search.encode([request])
        search.admit(slot, sentence, encoded)
        active.append(sentence)
    for _ in range(3):
        assert not any(search.extend(active))
        for sentence in active:
            sentence.length += 1
    return search, active


@torch.inference_mode()
def test_a_rehearsal_leaves_no_trace(make_network: Callable[..., Seq2Seq]) -> None:
    search, active = search_in_flight(make_network())
    beam, history = search.slots.beam, search.slots.history
    changed: list[Tensor] = [*beam, *search._state]
    told = [history.piece, history.parent, history.log_prob, history.score, history.weights]
    before = [held.clone() for held in changed]
    written = [held[:, :-1].clone() for held in told]
    rehearse(lambda: search._step(6, 32, NONE_RULED), changed, beam.over)
    for held, value in zip(changed, before, strict=True):
        assert torch.equal(held, value)
    for held, value in zip(told, written, strict=True):  # all but the step that is nobody's
        assert torch.equal(held[:, :-1].nan_to_num(), value.nan_to_num())
    while not all(search.extend(active)):  # and it goes on as if nothing had been
        pass
    expected, others = search_in_flight(make_network())
    while not all(expected.extend(others)):
        pass
    for slot, sentence in enumerate(active):
        assert search.slots.finish(slot, sentence) == expected.slots.finish(slot, sentence)


class Recording:
    """Captures what it is told to by noting it down."""

    def __init__(self) -> None:
        self.warm_ups = self.captures = 0

    def warm_up(self, work: Work) -> None:
        self.warm_ups += 1
        work()

    def capture(self, work: Work) -> Work:
        self.captures += 1
        return work


def test_each_shape_is_captured_once() -> None:
    total, over = torch.zeros(1), torch.zeros(2, dtype=torch.bool)

    def step(count: int, source: int) -> None:
        total.add_(count * 10 + source)

    recording = Recording()
    runner = CapturedRunner(recording, [total, over], over)
    for shape in ((1, 2), (3, 4), (1, 2), (1, 4)):
        runner.run(step, *shape)
    assert total.item() == 12 + 34 + 12 + 14
    assert recording.captures == 3
    assert recording.warm_ups == 3 * WARM_UPS
    PlainRunner().run(step, 1, 1)
    assert total.item() == 12 + 34 + 12 + 14 + 11


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_replayed_graphs_share_memory_in_any_order() -> None:
    device = torch.device("cuda")
    x, y = torch.arange(1000.0, device=device), torch.zeros(1000, device=device)
    over = torch.zeros(2, dtype=torch.bool, device=device)

    def step(count: int, source: int) -> None:
        between = x[:count].mul(source).add(1)  # memory of the graphs
        y[:count].copy_(between)

    runner = CapturedRunner(CudaCapture(device), [x, over], over)
    for count, source in ((1000, 2), (10, 3), (1000, 2), (500, 5), (10, 3)):
        x.add_(1)
        y.zero_()
        runner.run(step, count, source)
        expected = torch.cat([x[:count] * source + 1, x.new_zeros(1000 - count)])
        assert torch.equal(y, expected)
