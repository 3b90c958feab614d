"""The trace of a text: of the translation that the search finds, with its attention."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from model.errors import RequestError
from model.translation.text_trace import TextTrace
from model.translator import Translator

TEXT = "der Hund läuft unter der Straße."


@pytest.fixture(scope="module")
def found(translator: Translator) -> TextTrace:
    return translator.trace(TEXT)


def test_it_is_the_trace_of_what_the_search_finds(translator: Translator, found: TextTrace) -> None:
    (expected,) = translator.search([TEXT])
    best = expected.hypotheses[0]

    assert found.translation == best.translation
    assert found.source_pieces == (*expected.source_pieces, "</s>")
    assert found.target_pieces == (*best.pieces, "</s>")
    assert found.truncated == best.truncated
    assert best.weights is not None
    rows = len(best.weights)  # without that of EOS if the limit ended it
    torch.testing.assert_close(found.trace.attention[:rows], best.weights, rtol=0, atol=1e-5)


def test_a_wider_beam_has_its_own_trace(translator: Translator, found: TextTrace) -> None:
    options = dataclasses.replace(translator.options, beam_size=1, avoid=("läuft",))
    (expected,) = translator.search([TEXT], options)

    traced = translator.trace(TEXT, options)

    assert traced.translation == expected.text != found.translation


def numbers(value: Any) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def test_json_has_all_numbers_or_those_of_the_first_units(found: TextTrace) -> None:
    everything, few = found.to_json(), found.to_json(units=3)
    steps = {"encoder": len(found.source_pieces), "decoder": len(found.target_pieces)}
    assert isinstance(everything["layers"], list) and isinstance(few["layers"], list)
    for layer, whole, part in zip(
        found.trace.layers, everything["layers"], few["layers"], strict=True
    ):
        units = 8 if layer.part == "decoder" else 4
        assert whole["units"] == part["units"] == units
        assert (whole["part"], whole["layer"], whole["direction"], whole["inputs"]) == (
            layer.part,
            layer.layer,
            layer.direction,
            layer.inputs,
        )
        names = ["input", "forget", "candidate", "output", "cell", "hidden"]
        assert list(whole["values"]) == list(part["values"]) == names
        for name, values in layer.values.items():
            expected = values.double()
            assert expected.shape == (steps[layer.part], units)
            torch.testing.assert_close(
                numbers(whole["values"][name]), expected, rtol=0, atol=0.6e-5
            )
            assert numbers(part["values"][name]).equal(numbers(whole["values"][name])[:, :3])
        first = numbers(whole["first"]["hidden"])
        torch.testing.assert_close(first, layer.first_hidden.double(), rtol=0, atol=0.6e-5)
        assert len(part["first"]["cell"]) == 3
    weights = numbers(everything["attention"])
    torch.testing.assert_close(weights.sum(1), torch.ones(len(weights)).double(), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" ", "text: there are no words in it. Give a sentence."),
        ("Ein Hund. Eine Frau.", "text: it is read in 2 parts, but only one can be traced."),
        ("der Hund " * 30, "text: it is read in"),
    ],
)
def test_only_a_sentence_is_traced(translator: Translator, text: str, message: str) -> None:
    with pytest.raises(RequestError) as raised:
        translator.trace(text)
    assert str(raised.value).startswith(message)


def test_an_ensemble_is_not_traced(tiny_checkpoint: Path, other_runs: Sequence[Path]) -> None:
    several = Translator.load([tiny_checkpoint, other_runs[0]], device="cpu", precision="fp32")
    with pytest.raises(RequestError, match="Trace one of its models"):
        several.trace(TEXT)
