"""One translator in several threads: each call gets what it gets alone."""

import asyncio
import dataclasses
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from model.decoding.options import SearchOptions
from model.translator import Translator

WORDS = ["der", "ein", "Haus", "Hund", "Mann", "Frau", "läuft", "sieht", "rot", "unter", "Straße"]
THREADS = 8


def texts_of(count: int) -> list[str]:
    """Of one sentence or of several, and a blank one."""
    rng = random.Random(5)
    lengths = [rng.choice((1, 3, 8, 40)) for _ in range(count - 1)]
    return ["", *(" ".join(rng.choices(WORDS, k=length)) for length in lengths)]


def in_threads(calls: Sequence[Callable[[], object]]) -> list[object]:
    with ThreadPoolExecutor(THREADS) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_answers_of_threads_are_those_alone(
    tiny_checkpoint: Path, precision: Literal["fp32", "int8"]
) -> None:
    """2,000 calls, of four kinds and with two beam sizes."""
    alone = Translator.load(tiny_checkpoint, device="cpu", precision=precision)
    shared = Translator.load(tiny_checkpoint, device="cpu", precision=precision)
    wide = dataclasses.replace(alone.options, beam_size=3, n_best=2)

    def call(translator: Translator, kind: int, text: str) -> object:
        if kind == 0:
            return translator.search([text, text[:9]], wide)
        if kind == 1:
            return list(translator.stream(text))[-1]
        if kind == 2:
            return translator.score([text], ["the dog"])
        return translator.translate(text)

    asked = [(kind, text) for text in texts_of(25) for kind in range(5)]
    expected = [call(alone, *one) for one in asked]
    order = list(range(len(asked))) * (2000 // len(asked))
    random.Random(0).shuffle(order)
    assert len(order) == 2000
    found = in_threads([partial(call, shared, *asked[i]) for i in order])
    assert found == [expected[i] for i in order]


def test_a_call_that_is_interrupted_stops_no_other(tiny_checkpoint: Path) -> None:
    translator = Translator.load(tiny_checkpoint, device="cpu", precision="fp32")
    texts = texts_of(30)
    expected = translator.translate(texts)

    def interrupted() -> object:
        def advance(count: int) -> None:
            if count:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            translator.search_window([(text, translator.options) for text in texts], advance)
        return expected

    calls = [interrupted, lambda: translator.translate(texts)] * 20
    assert in_threads(calls) == [expected] * len(calls)


def test_calls_from_an_event_loop(tiny_checkpoint: Path) -> None:
    translator = Translator.load(tiny_checkpoint, device="cpu", precision="fp32")
    texts = texts_of(40)
    greedy = SearchOptions(beam_size=1, max_length_b=5)
    expected = translator.translate(texts, greedy)

    async def all_at_once() -> list[str]:
        return await asyncio.gather(
            *(asyncio.to_thread(translator.translate, text, greedy) for text in texts)
        )

    assert asyncio.run(all_at_once()) == expected
