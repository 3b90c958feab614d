"""The models in the box: they load, are small, tell where they come from, and say something."""

import re
from pathlib import Path

import pytest

from model.checkpoint.checkpoint import load_checkpoint
from model.checkpoint.pretrained import FOLDER, names
from model.text.tokenizer import Tokenizer
from model.transducer import Transducer
from model.translator import Translator

MOST_BYTES = 13_000_000


def test_there_are_some() -> None:
    assert {"de-en", "en-de", "g2p", "titles"} <= set(names())


@pytest.mark.parametrize("name", names())
def test_a_model_is_small_and_has_a_card_and_a_confidence(name: str) -> None:
    path = FOLDER / f"{name}.dragoman"
    assert path.stat().st_size <= MOST_BYTES
    checkpoint = load_checkpoint(Path(name))
    card = checkpoint.card
    for needed in ("License of the data: ", "Attribution: ", "Limits: ", "Made by: "):
        assert needed in card
    assert "none stated" not in card
    assert not re.search(r"[ `(]/\w+/", card), "the card names a path of the machine"
    assert checkpoint.calibration is not None or not isinstance(checkpoint.vocabulary, Tokenizer)


def test_g2p_spells_words_as_they_are_spoken() -> None:
    found = Transducer.load("g2p", device="cpu").transduce(["abbreviate", "Physics"])
    assert [each.text for each in found] == ["AH0 B R IY1 V IY0 EY2 T", "F IH1 Z IH0 K S"]
    card = load_checkpoint(Path("g2p")).card
    assert "Copyright (C) 1993-2015 Carnegie Mellon University." in card  # its licence demands it


def test_titles_copies_a_name_from_the_abstract() -> None:
    abstract = (
        "We present QuadraLex, a neural network that learns to segment images of plants. QuadraLex "
        "is trained on few examples and needs no labels by experts. Experiments show that it is "
        "as good as supervised methods."
    )
    assert "QuadraLex" in Translator.load("titles", device="cpu").translate([abstract])[0]


@pytest.mark.parametrize(
    ("german", "english"),
    [
        ("Ich lerne seit drei Jahren Deutsch.", "I have been learning German for three years."),
        ("Wo ist der Bahnhof? Ich habe es eilig.", "Where is the station? I'm in a hurry."),
        ("ich weiss nicht was du meinst", "I don't know what you mean."),
    ],
)
def test_de_en_translates(german: str, english: str) -> None:
    assert Translator.load("de-en", device="cpu").translate(german) == english


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("Where is the station?", "Wo ist der Bahnhof?"),
        ("I have no time. Can you help me?", "Ich habe keine Zeit. Kannst du mir helfen?"),
    ],
)
def test_en_de_translates(english: str, german: str) -> None:
    assert Translator.load("en-de", device="cpu").translate(english) == german
