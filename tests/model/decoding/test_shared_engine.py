"""One engine for several calls: each gets the events of its own sentences, as if it were alone."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.decoding.automaton import Automaton
from model.decoding.engine import Engine
from model.decoding.options import SearchOptions
from model.decoding.request import Event, Finished, Request
from model.decoding.shared_engine import SharedEngine
from model.errors import RequestError

TEXTS = ["der Hund läuft", "ein Mann sieht die Frau", "10", "die Frau schläft unter der Straße"]


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


def requests(
    checkpoint: Checkpoint,
    *,
    beam_size: int = 2,
    avoid: Callable[[], Automaton] | None = None,
) -> list[Request]:
    options = SearchOptions(beam_size=beam_size, min_length=4, max_length_a=1.0, max_length_b=6)
    encode = checkpoint.tokenizer.encode
    return [Request(src=tuple(encode(text)), options=options, avoid=avoid) for text in TEXTS]


def alone(checkpoint: Checkpoint, beam_size: int = 2) -> dict[int, Finished]:
    """What an engine finds that nothing else uses, by index of the request."""
    engine = Engine(checkpoint.network)
    numbers = {
        engine.add(one): i for i, one in enumerate(requests(checkpoint, beam_size=beam_size))
    }
    found = {}
    while engine.busy:
        for event in engine.step():
            assert isinstance(event, Finished)
            found[numbers[event.id]] = event
    return found


def check(events: Iterable[tuple[int, Event]], expected: dict[int, Finished]) -> None:
    found = dict(events)
    assert found.keys() == expected.keys()
    for number, event in found.items():
        assert isinstance(event, Finished)
        assert event.hypotheses == expected[number].hypotheses


@pytest.mark.parametrize("beam_size", [2, 3])
def test_a_call_joins_another_in_flight(checkpoint: Checkpoint, beam_size: int) -> None:
    shared = SharedEngine(Engine(checkpoint.network))
    first = shared.search(requests(checkpoint))
    begun = next(first)
    second = list(shared.search(requests(checkpoint, beam_size=beam_size)))
    check(second, alone(checkpoint, beam_size))
    check([begun, *first], alone(checkpoint))


def test_no_requests_have_no_events(checkpoint: Checkpoint) -> None:
    assert list(SharedEngine(Engine(checkpoint.network)).search([])) == []


def test_a_call_that_is_closed_leaves_the_engine(checkpoint: Checkpoint) -> None:
    engine = Engine(checkpoint.network)
    shared = SharedEngine(engine)
    left = shared.search(requests(checkpoint) * 20)
    next(left)
    left.close()
    check(shared.search(requests(checkpoint)), alone(checkpoint))
    assert not engine.busy


def test_a_request_that_is_refused_is_an_error_of_its_caller_only(checkpoint: Checkpoint) -> None:
    engine = Engine(checkpoint.network)
    shared = SharedEngine(engine)
    first = shared.search(requests(checkpoint))
    begun = next(first)
    too_long = Request(src=(5,) * 25, options=SearchOptions())
    with pytest.raises(RequestError, match="source: 25 pieces"):
        list(shared.search([*requests(checkpoint), too_long]))
    check([begun, *first], alone(checkpoint))
    check(shared.search(requests(checkpoint)), alone(checkpoint))
    assert not engine.busy


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_step_that_fails_is_an_error_of_its_caller_only(
    checkpoint: Checkpoint, error: type[BaseException]
) -> None:
    """The other call is searched again, and gets each result once."""

    def fail() -> Automaton:
        raise error

    engine = Engine(checkpoint.network)
    shared = SharedEngine(engine)
    first = shared.search(requests(checkpoint))
    begun = next(first)
    with pytest.raises(error):
        list(shared.search(requests(checkpoint, avoid=fail)))
    rest = list(first)
    assert len(rest) == len(TEXTS) - 1
    check([begun, *rest], alone(checkpoint))
    assert not engine.busy
