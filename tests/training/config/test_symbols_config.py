"""Configs with symbols: their defaults, and each key that only text has."""

import pytest

from model.errors import ConfigErrors
from training.config.train_config import parse_config

BARE = """
source: {kind: symbols, unit: characters}
target: {kind: symbols, unit: spaced}
data: {train: [{source: a, target: b}], dev: {source: c, target: d}}
run: {max_steps: 100}
"""


def refused(*overrides: str, text: str = BARE) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(text, overrides)
    return list(caught.value.lines)


def test_symbols_have_metrics_of_their_own_and_no_shortlist() -> None:
    config = parse_config(BARE)
    assert config.validation.metrics == ("symbol_error_rate", "sequence_error_rate")
    assert config.validation.best == "symbol_error_rate"
    assert config.shortlist.candidates == 0
    assert config.source.cut().unit == "characters"
    assert parse_config(BARE, ["validation.best=loss"]).validation.best == "loss"


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("tokenizer.vocab_size=500", "tokenizer"),
        ("tokenizer.sampling=0.1", "tokenizer"),
        ("data.task=summarize", "data.task"),
        ("data.joined=0.3", "data.joined"),
        ("data.noise=0.3", "data.noise"),
        ("data.length_buckets=8", "data.length_buckets"),
        ("data.source_language=de", "data.source_language"),
        ("data.target_language=de", "data.target_language"),
        ("data.dev.tag=<x>", "data.train, data.dev: tag"),
        ("objective.risk_weight=0.5", "objective.risk_weight"),
        ("finetune.init_from=runs/x", "finetune.init_from"),
        ("validation.tokenize=zh", "validation.tokenize"),
        ("shortlist.candidates=10", "shortlist.candidates"),
        ("search.max_words=3", "search.max_words"),
        ("search.on_long=cut", "search.on_long"),
        ("search.prefix=A", "search.prefix"),
    ],
)
def test_what_is_for_text_is_refused_in_one_line(override: str, key: str) -> None:
    (line,) = refused(override)
    assert line.startswith(f"{key}: ")
    assert "for text, not for symbols. Leave it out." in line


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "source.kind=words",
            "source.kind: 'words' is not allowed. Choose one of: pieces, symbols,",
        ),
        ("source.unit=words", "source.unit: 'words' is not allowed"),
        ("source.unit=null", "source.unit: missing. Use characters, or spaced"),
        ("target.ignore_spaces=true", "target.ignore_spaces: spaced symbols need the spaces"),
        ("target={kind: pieces}", "target.kind"),
        ("validation.metrics=[bleu]", "validation."),
    ],
)
def test_mistakes_in_the_sections_are_told_once(override: str, message: str) -> None:
    if override == "target={kind: pieces}":
        lines = refused(text=BARE.replace("{kind: symbols, unit: spaced}", "{kind: pieces}"))
        assert lines[0] == (
            "target.kind: pieces does not go with source.kind symbols, since a model has one "
            "vocabulary for all its lines. Use one kind for both, or vectors on one side."
        )
        return
    lines = refused(override)
    assert len(lines) == 1, lines
    assert lines[0].startswith(message)


def test_text_has_no_error_rates_and_no_units() -> None:
    text = BARE.partition("data:")[1] + BARE.partition("data:")[2]
    (line,) = refused("validation.metrics=[bleu, symbol_error_rate]", text=text)
    assert line.startswith("validation.metrics: symbol_error_rate is for symbols")
    (line,) = refused("source.unit=spaced", text=text)
    assert line == "source.unit: it is for symbols. Leave it out, or set kind: symbols."


def test_files_at_the_top_are_told_where_they_belong() -> None:
    lines = refused(text=BARE.replace("{kind: symbols, unit: characters}", "train.de"))
    assert lines[0].startswith("source: it is a mapping") and "'data.train'" in lines[0]
