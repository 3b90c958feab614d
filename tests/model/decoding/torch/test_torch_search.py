"""A step of the search needs nothing of the host, so that a CUDA graph can hold it."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from model.decoding.cuda.launch import StepLaunch
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.decoding.rules.word_limits import PieceWords
from model.decoding.sentence import Sentence
from model.decoding.state.slots import Slots
from model.decoding.torch.inference_network import InferenceNetwork
from model.decoding.torch.torch_search import NONE_RULED, TorchSearch
from model.network.seq2seq import Seq2Seq


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the operations, and the devices of the tensors that take part in each."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[tuple[str, set[str]]] = []

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, Tensor)]
        self.seen.append((str(func), {x.device.type for x in tensors}))
        return result


def search_on(
    device: torch.device, network: Seq2Seq, dtype: torch.dtype, launch: StepLaunch
) -> TorchSearch:
    vocab = network.config.vocab_size
    slots = Slots(
        count=8,
        beam_size=5,
        steps=12,
        source=32,
        continues=torch.zeros(vocab, dtype=torch.bool, device=device),
        words=PieceWords.one_each(vocab).to(device),
    )
    return TorchSearch(InferenceNetwork(network.to(device), dtype), slots, None, launch)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize("vocab", [24, 700])
@pytest.mark.parametrize("pointer", [False, True])
@torch.inference_mode()
def test_a_step_stays_on_its_device(
    make_network: Callable[..., Seq2Seq],
    pointer: bool,
    vocab: int,
    input_feeding: bool,
    dtype: torch.dtype,
) -> None:
    """On the device `meta` there are no values: whatever the host asked for would raise.

    And no tensor of the host takes part: on a GPU each would be a transfer.
    """
    network = make_network(vocab, input_feeding=input_feeding, copy=pointer, coverage=pointer)
    search = search_on(torch.device("meta"), network, dtype, StepLaunch())
    with Watch() as watch:
        search._step(4, 32, NONE_RULED)
    assert len(watch.seen) > 100
    strangers = [operation for operation, devices in watch.seen if devices - {"meta"}]
    assert not strangers


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@torch.inference_mode()
def test_a_step_does_not_wait_for_the_gpu(make_network: Callable[..., Seq2Seq]) -> None:
    search = search_on(torch.device("cuda"), make_network(700), torch.bfloat16, StepLaunch())
    search._step(8, 32, NONE_RULED)
    waited: RuntimeError | None = None
    torch.cuda.set_sync_debug_mode("error")
    try:
        search._step(8, 32, NONE_RULED)
    except RuntimeError as error:
        waited = error
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert waited is None


@torch.inference_mode()
def test_slots_that_only_fill_up_a_shape_rest(make_network: Callable[..., Seq2Seq]) -> None:
    """Also one whose sentence was cancelled: what it holds must not go on."""
    search = search_on(
        torch.device("cpu"), make_network(), torch.float32, StepLaunch(bucketed=True)
    )
    options = SearchOptions(max_length_a=0, max_length_b=10, min_length=5)
    active = []
    for slot in range(3):
        request = Request(src=(5 + slot, 6), options=options)
        sentence = Sentence(slot, request, limit=10, ruled=False)
        search.admit(slot, sentence, *search.encode([request]))
        active.append(sentence)
    search.extend(active)
    assert search.slots.beam.over.tolist() == [False] * 3 + [True] * 5
    search.extend(active[:2])
    assert search.slots.beam.over.tolist() == [False] * 2 + [True] * 6
    assert search.slots.beam.length.tolist() == [2, 2, 1, 0, 0, 0, 0, 0]
