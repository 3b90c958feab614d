"""Schemas: what the JSON may hold, and that the schema says so."""

import dataclasses
from typing import Any

import pytest
from pydantic import ValidationError

from model.decoding.options import OnLong, SearchOptions
from model.errors import ConfigError
from service.api.request_bodies import (
    FIELDS_OF_THE_BODY,
    MAX_BEAM_SIZE,
    MAX_CHARACTERS,
    MAX_MARKS,
    MAX_PHRASE,
    MAX_PHRASES,
    MAX_TEXTS,
    MAX_WORD,
    GenerateRequest,
    Options,
    SummarizeRequest,
    TransduceRequest,
    TranslateRequest,
)

DEFAULTS = SearchOptions(beam_size=4, alpha=0.5, max_length_b=3)
NAMES = [
    field.name
    for field in dataclasses.fields(SearchOptions)
    if field.name not in {"source_language", "target_language", "on_long"}
]


def property_of_options(name: str) -> dict[str, Any]:
    """What the schema says of an option, besides that it may be null."""
    properties: dict[str, Any] = Options.model_json_schema()["properties"]
    (one,) = [form for form in properties[name]["anyOf"] if form != {"type": "null"}]
    assert isinstance(one, dict)
    return one


def test_options_are_the_search_options() -> None:
    assert list(Options.model_fields) == NAMES
    assert all(field.description for field in Options.model_fields.values())


def test_the_other_search_options_are_fields_of_the_body() -> None:
    searched = [field.name for field in dataclasses.fields(SearchOptions)]
    assert set(FIELDS_OF_THE_BODY) == set(searched) - set(NAMES)
    assert set(FIELDS_OF_THE_BODY.values()) <= SummarizeRequest.model_fields.keys()
    # A text that is not read whole is never too long.
    assert set(FIELDS_OF_THE_BODY.values()) - TranslateRequest.model_fields.keys() == {"on_long"}


def test_options_left_out_are_the_defaults() -> None:
    assert Options().merged_into(DEFAULTS) == DEFAULTS
    assert Options.model_validate({"n_best": None}).merged_into(DEFAULTS) == DEFAULTS
    chosen = Options.model_validate({"beam_size": 1, "alpha": 2}).merged_into(DEFAULTS)
    assert chosen == SearchOptions(beam_size=1, alpha=2.0, max_length_b=3)


WORDS = {"prefix", "constraints", "avoid", "length_penalty", "split_sentences", "extractive"}


@pytest.mark.parametrize("name", [n for n in NAMES if n not in {"top_p", "ratio"} | WORDS])
def test_limits_in_the_schema_are_accepted_and_nothing_beyond(name: str) -> None:
    said = property_of_options(name)
    # Some options are for samples only, others for a beam.
    samples = name in {"temperature", "top_k", "seed"}
    kind: OnLong = "windows" if name == "best_windows" else "whole"
    wide = SearchOptions(beam_size=16, temperature=1.0 if samples else 0.0, on_long=kind)
    for limit, beyond in ((said["minimum"], -1), (said["maximum"], 1)):
        options = Options.model_validate({name: limit})
        if name != "beam_size":
            assert getattr(options.merged_into(wide), name) == limit
        with pytest.raises(ValidationError):
            Options.model_validate({name: limit + beyond})


@pytest.mark.parametrize("name", ["top_p", "ratio"])
def test_shares_are_above_0(name: str) -> None:
    said = property_of_options(name)
    assert (said["exclusiveMinimum"], said["maximum"]) == (0, 1)
    assert getattr(Options.model_validate({name: 1.0}).merged_into(DEFAULTS), name) == 1.0
    for value in (0, 1.01):
        with pytest.raises(ValidationError):
            Options.model_validate({name: value})


def test_phrases_are_text_and_the_schema_says_how_much() -> None:
    assert property_of_options("prefix")["maxLength"] == MAX_PHRASE
    for name in ("constraints", "avoid"):
        said = property_of_options(name)
        assert (said["maxItems"], said["items"]["maxLength"]) == (MAX_PHRASES, MAX_PHRASE)
        options = Options.model_validate({name: ["Hund", "die Frau"]}).merged_into(DEFAULTS)
        assert getattr(options, name) == ("Hund", "die Frau")
        with pytest.raises(ValidationError):
            Options.model_validate({name: "Hund"})


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("length_penalty", ["gnmt", "power", "none"]),
        ("split_sentences", ["auto", "always", "never"]),
        ("extractive", ["none", "names", "words", "subsequence"]),
    ],
)
def test_the_schema_names_the_choices(name: str, choices: list[str]) -> None:
    assert property_of_options(name)["enum"] == choices
    for choice in choices:
        assert getattr(Options.model_validate({name: choice}).merged_into(DEFAULTS), name) == choice


@pytest.mark.parametrize(
    "options",
    [
        {"beam_size": "3"},
        {"beam_size": 2.0},
        {"beam_size": True},
        {"alpha": float("nan")},
        {"alpha": float("inf")},
        {"length_penalty": "gnmt "},
        {"split_sentences": True},
        {"on_long": "cut"},
        {"source_language": "de"},
        {"beam": 3},
    ],
)
def test_options_are_never_guessed(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(options)


def test_options_that_make_no_sense_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="n_best: 5 is not in 1 to beam_size 4"):
        Options.model_validate({"n_best": 5}).merged_into(DEFAULTS)


def test_one_text_or_several() -> None:
    assert TranslateRequest(text="a").texts == ["a"]
    assert TranslateRequest(text=["a", "", "b"]).texts == ["a", "", "b"]
    assert TranslateRequest(text=[]).texts == []


def test_the_schema_says_how_much_text() -> None:
    one, many = TranslateRequest.model_json_schema()["properties"]["text"]["oneOf"]
    assert one["maxLength"] == many["items"]["maxLength"] == MAX_CHARACTERS == 800_000
    assert many["maxItems"] == MAX_TEXTS == 256
    assert one["x-max-word-length"] == MAX_WORD == 10_000
    for name in ("beam_size", "n_best"):
        assert property_of_options(name)["maximum"] == MAX_BEAM_SIZE == 16


def test_characters_are_counted_not_bytes() -> None:
    longest = "ß " * (MAX_CHARACTERS // 2)
    assert TranslateRequest(text=longest).texts == [longest]
    with pytest.raises(ValidationError, match="at most 800000 characters"):
        TranslateRequest(text=longest + "s")


def test_words_are_counted_in_characters() -> None:
    text = ("ß" * MAX_WORD + " ") * 3
    assert TranslateRequest(text=text).texts == [text]
    with pytest.raises(ValidationError, match="more than 10000 characters"):
        TranslateRequest(text=["a", text + "ß" * (MAX_WORD + 1)])


@pytest.mark.parametrize("excess", [0, 1])
def test_a_long_word_is_found_wherever_it_is(excess: int) -> None:
    word = "a" * (MAX_WORD + excess)
    for before in (0, 1, 2, MAX_WORD // 2 - 1, MAX_WORD // 2, MAX_WORD // 2 + 1, 3 * MAX_WORD + 7):
        for behind in (0, 1, MAX_WORD // 2):
            text = ("bb \u2003" * MAX_WORD)[: max(before - 1, 0)] + "\x1c" * (before > 0) + word
            text += ("\n" + "b" * behind) * (behind > 0)
            assert max(map(len, text.split())) == len(word)
            if excess:
                with pytest.raises(ValidationError, match="more than 10000 characters"):
                    TranslateRequest(text=text)
            else:
                assert TranslateRequest(text=text).texts == [text]


def test_what_was_written_is_known() -> None:
    options = Options.model_validate({"prefix": "a", "constraints": ["b", "c"], "avoid": ["d"]})
    assert options.phrases == ["a", "b", "c", "d"]
    assert Options().phrases == []


def test_a_stream_is_of_one_text() -> None:
    assert GenerateRequest.model_validate({"text": "a", "stream": True}).stream
    with pytest.raises(ValidationError, match="one text"):
        GenerateRequest.model_validate({"text": ["a"], "stream": True})


@pytest.mark.parametrize("before", range(12))
def test_marks_in_a_row_are_bounded(before: int) -> None:
    """Wherever they stand: every tenth character is looked at first."""
    for mark in ("\u0301", "\u0323", "\u094d", "\U0001d165"):
        allowed = "a" * before + "e" + mark * MAX_MARKS + "e" + mark
        assert TranslateRequest.model_validate({"text": allowed}).texts == [allowed]
        with pytest.raises(ValidationError, match="more than 30 combining marks"):
            TranslateRequest.model_validate({"text": "a" * before + mark * (MAX_MARKS + 1)})


@pytest.mark.parametrize(
    "vectors", [["a"] * 5, [["a"] * 5], [[["a"] * 5] * 5], [[[1.0]], *["a"] * 5]]
)
def test_of_vectors_only_the_first_mistake_is_looked_for(vectors: list[object]) -> None:
    with pytest.raises(ValidationError) as caught:
        TransduceRequest.model_validate({"vectors": vectors})
    assert caught.value.error_count() == 1
