"""Search options: ranges, and what contradicts what."""

import math
from typing import Any

import pytest

from model.config import from_dict, to_dict
from model.decoding.options import (
    BOUNDS,
    SearchOptions,
    beginnings,
    length_limit,
    word_limits,
)
from model.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("beam_size", 0),
        ("beam_size", 65),
        ("n_best", 0),
        ("n_best", 6),
        ("length_penalty", "wu"),
        ("alpha", -0.1),
        ("alpha", 5.1),
        ("alpha", math.nan),
        ("word_reward", -10.5),
        ("coverage_beta", -0.1),
        ("coverage_beta", math.inf),
        ("min_length", -1),
        ("max_length_a", -0.5),
        ("max_length_a", math.inf),
        ("max_length_a", math.nan),
        ("max_length_b", -1),
        ("no_repeat_ngram", -1),
        ("min_words", -1),
        ("max_words", 100_001),
        ("ratio", 1.01),
        ("ratio", -0.2),
        ("ratio", math.nan),
        ("temperature", -0.5),
        ("temperature", math.nan),
        ("diverse_groups", 0),
        ("diverse_strength", -1.0),
    ],
)
def test_options_out_of_range_are_named(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^{field}: .*{value}.*\. (Use|Lower) "):
        SearchOptions(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"temperature": 1, "top_k": -1}, r"top_k: -1 is out of range\. Use 0"),
        (
            {"temperature": 1, "top_p": 1.5},
            r"top_p: 1\.5 is out of range\. Use more than 0, up to 1",
        ),
        ({"temperature": 1, "top_p": 0}, r"top_p: 0 is out of range\. Use more than 0"),
        ({"temperature": 1, "seed": -1}, r"seed: -1 is out of range"),
        ({"top_k": 5}, r"top_k: 5 is for sampling, but temperature is 0\. Give a temperature"),
        ({"top_p": 0.9}, r"top_p: 0\.9 is for sampling, but temperature is 0"),
        ({"seed": 7}, r"seed: 7 is for sampling, but temperature is 0"),
        ({"temperature": 0.5, "constraints": ("Hund",)}, r"constraints: .* temperature 0\.5 draws"),
        ({"ratio": 0}, r"ratio: 0 is out of range\. Use more than 0, up to 1"),
        (
            {"ratio": 0.5, "max_words": 9},
            r"ratio: 0\.5 sets the most words, and so does max_words 9",
        ),
        (
            {"min_words": 9, "max_words": 8},
            r"min_words: 9 is above max_words 8\. Lower min_words or raise max_words",
        ),
        ({"diverse_groups": 2}, r"diverse_groups: 2 does not divide beam_size 5"),
        (
            {"diverse_groups": 5, "temperature": 1},
            r"diverse_groups: 5 groups .* temperature\. Leave one",
        ),
        ({"diverse_groups": 5, "constraints": ("a",)}, r"diverse_groups: .* constraints\. Leave"),
        ({"constraints": ("a", " ")}, r"constraints: one is blank"),
        ({"avoid": ("",)}, r"avoid: one is blank"),
        ({"avoid": ("a" * 500, "b" * 501)}, r"avoid: 1,001 characters, but at most 1,000 in all"),
        ({"constraints": ("a" * 1001,)}, r"constraints: 1,001 characters, but at most 1,000"),
        ({"constraints": ("a", "b", "a")}, r"constraints: 'a' is given twice"),
        (
            {"constraints": ("a red dog",), "avoid": ("red",)},
            r"avoid: 'red' is part of 'a red dog'",
        ),
        (
            {"attention_span": 512, "on_long": "cut"},
            r"attention_span: 512 is for .* but on_long is cut\. Give on_long whole",
        ),
        ({"attention_span": -1, "on_long": "whole"}, r"attention_span: -1 is out of range"),
        (
            {"on_long": "hole"},
            r"on_long: 'hole' is not known\. Use refuse or cut or windows or whole",
        ),
        ({"prefix": "Red dogs", "avoid": ("dogs",)}, r"avoid: 'dogs' is part of 'Red dogs'"),
    ],
)
def test_contradictions_are_one_clear_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        SearchOptions(**given)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    "given",
    [
        {"temperature": 1, "top_k": 5, "top_p": 0.9, "seed": 3, "avoid": ("a",), "prefix": "b"},
        {"temperature": 1, "no_repeat_ngram": 3, "coverage_beta": 0.2, "word_reward": 0.1},
        {"diverse_groups": 5, "avoid": ("red",), "prefix": "reddish", "no_repeat_ngram": 2},
        {"min_words": 8, "max_words": 8, "temperature": 1},
        {"min_words": 8, "ratio": 1.0, "constraints": ("a",)},
        {"constraints": ("infrared",), "avoid": ("red",), "coverage_beta": 0.2},
    ],
)
def test_what_goes_together(given: dict[str, Any]) -> None:
    options = SearchOptions(**given)
    assert from_dict(SearchOptions, to_dict(options)) == options


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds_are_those_of_fields_and_hold_the_defaults(name: str) -> None:
    least, most = BOUNDS[name]
    default = getattr(SearchOptions(), name)
    assert default is None or least <= default <= most


def test_the_length_limit_is_rounded_down() -> None:
    options = SearchOptions(max_length_a=1.5, max_length_b=3)
    assert [length_limit(options, length) for length in (1, 2, 3)] == [4, 6, 7]


@pytest.mark.parametrize(
    ("given", "source_words", "expected"),
    [
        ({}, 50, (0, 0)),
        ({"min_words": 3, "max_words": 7}, 50, (3, 7)),
        ({"min_words": 3}, 50, (3, 0)),
        ({"ratio": 0.25}, 40, (8, 10)),
        ({"ratio": 0.25}, 41, (8, 11)),  # rounded up
        ({"ratio": 0.1}, 30, (2, 3)),  # in binary, 0.1 * 30 is above 3
        ({"ratio": 0.01}, 30, (0, 1)),  # never no word at all
        ({"ratio": 1.0}, 30, (24, 30)),
        ({"ratio": 0.5, "min_words": 2}, 30, (2, 15)),
    ],
)
def test_limits_of_words_follow_from_the_source(
    given: dict[str, Any], source_words: int, expected: tuple[int, int]
) -> None:
    assert word_limits(SearchOptions(**given), source_words) == expected


def test_samples_and_groups_begin_side_by_side() -> None:
    assert beginnings(SearchOptions()) == 1
    assert beginnings(SearchOptions(temperature=1)) == 5
    assert beginnings(SearchOptions(beam_size=6, diverse_groups=3)) == 3


def test_one_text_is_no_list_of_phrases() -> None:
    with pytest.raises(ConfigError, match="constraints: 'Man' is one text"):
        SearchOptions(constraints="Man")  # type: ignore[arg-type]
