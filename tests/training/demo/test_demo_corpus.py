"""The demo's corpus: its sizes, its determinism, and that nothing held out occurs in training."""

import re
from collections.abc import Iterable
from string import Formatter

import pytest

from training.demo.demo_corpus import DemoCorpus, DemoPair, generate
from training.demo.demo_phrases import Value
from training.demo.lexicon import FRAMES, MONTHS

# What a reader sees in figures, found without the generator's help. Each kind is taken out of the
# text before the next is looked for, so that the 30 of 14:30 does not count as a number.
MONTH = "|".join(german for german, _ in MONTHS)
FULL_DATE = re.compile(r"\b(\d{1,2})\.(\d{1,2})\.\d{4}\b")
NAMED_DATE = re.compile(rf"\b(\d{{1,2}})\. ({MONTH})(?: \d{{4}})?\b")
TIME = re.compile(r"\b(\d{1,2})(?::(\d{2}))? Uhr\b")
NUMBER = re.compile(r"\b\d+(?:\.\d{3})*(?:,\d+)?\b")
MONTH_NUMBERS = {german: number for number, (german, _) in enumerate(MONTHS, start=1)}

Found = tuple[str, float, float]


def figures(text: str) -> set[Found]:
    """Dates as (day, month), times as (hour on the dial, minute), all else as numbers."""
    found: set[Found] = {("date", int(d), int(m)) for d, m in FULL_DATE.findall(text)}
    text = FULL_DATE.sub("", text)
    found |= {("date", int(d), MONTH_NUMBERS[m]) for d, m in NAMED_DATE.findall(text)}
    text = NAMED_DATE.sub("", text)
    found |= {("time", int(h) % 12, int(m or 0)) for h, m in TIME.findall(text)}
    numbers = NUMBER.findall(TIME.sub("", text))
    return found | {("number", float(n.replace(".", "").replace(",", ".")), 0) for n in numbers}


def as_found(value: Value) -> Found:
    if value.kind == "number":
        return ("number", value.parts[0] / 100, 0)
    if value.kind == "time":
        return ("time", value.parts[0] % 12, value.parts[1])
    return ("date", value.parts[0], value.parts[1])


def all_figures(pairs: Iterable[DemoPair]) -> set[Found]:
    return set().union(*(figures(pair.source) for pair in pairs))


@pytest.fixture(scope="module")
def corpus() -> DemoCorpus:
    return generate(seed=1, train_pairs=12_000, held_out_pairs=500)


def test_figures_are_found_in_text() -> None:
    text = "Am 3. Mai um 14:30 Uhr, am 4.12.1987 um 9 Uhr: 1.234,50 € für 12 Äpfel."
    assert figures(text) == {
        ("date", 3, 5),
        ("date", 4, 12),
        ("time", 2, 30),
        ("time", 9, 0),
        ("number", 1234.5, 0),
        ("number", 12, 0),
    }


def test_sizes_are_as_asked(corpus: DemoCorpus) -> None:
    assert (len(corpus.train), len(corpus.held_out)) == (12_000, 500)


def test_same_seed_gives_the_same_corpus(corpus: DemoCorpus) -> None:
    assert generate(1, 200, 100).train == corpus.train[:200]
    assert generate(1, 200, 100).held_out == corpus.held_out[:100]
    assert generate(2, 200, 100).train != corpus.train[:200]


def test_no_sentence_occurs_twice(corpus: DemoCorpus) -> None:
    sources = [pair.source for pair in corpus.train + corpus.held_out]
    assert len(set(sources)) == len(sources)


def test_every_pair_names_a_value(corpus: DemoCorpus) -> None:
    assert all(pair.values for pair in corpus.train + corpus.held_out)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_held_out_value_occurs_in_training(seed: int) -> None:
    corpus = generate(seed, train_pairs=6_000, held_out_pairs=500)
    seen = set().union(*(pair.values for pair in corpus.train))
    assert all(seen.isdisjoint(pair.values) for pair in corpus.held_out)


def test_no_held_out_figure_occurs_in_training(corpus: DemoCorpus) -> None:
    assert all_figures(corpus.train).isdisjoint(all_figures(corpus.held_out))


def test_values_name_every_figure(corpus: DemoCorpus) -> None:
    """The metadata and the text agree, so that the words beside the figures can be trusted too."""
    for pair in corpus.train + corpus.held_out:
        assert figures(pair.source) <= {as_found(value) for value in pair.values}, pair


def test_both_wordings_of_a_value_fall_on_the_same_side() -> None:
    corpus = generate(seed=5, train_pairs=3_000, held_out_pairs=300)
    in_figures = {v for p in corpus.held_out for v in p.values if as_found(v) in figures(p.source)}
    in_words = {v for p in corpus.train for v in p.values if as_found(v) not in figures(p.source)}
    assert in_figures
    assert in_words
    assert in_figures.isdisjoint(in_words)


def test_held_out_pairs_cover_every_kind_and_many_values(corpus: DemoCorpus) -> None:
    values = {value for pair in corpus.held_out for value in pair.values}
    counts = {kind: sum(v.kind == kind for v in values) for kind in ("number", "date", "time")}
    assert counts["number"] >= 200
    assert counts["date"] >= 20
    assert counts["time"] >= 30


def test_training_has_every_word_of_the_held_out_targets(corpus: DemoCorpus) -> None:
    def words(pairs: list[DemoPair]) -> set[str]:
        return {word for pair in pairs for word in re.findall(r"[A-Za-z]+", pair.target)}

    assert words(corpus.held_out) <= words(corpus.train)


def test_frames_have_the_same_slots_in_both_languages() -> None:
    def slots(template: str) -> list[str]:
        return sorted(name for _, name, _, _ in Formatter().parse(template) if name)

    for german, english in FRAMES:
        assert slots(german) == slots(english)


def test_a_sentence_has_one_translation() -> None:
    """Two generations that share sentences never disagree about them."""
    first = {pair.source: pair.target for pair in generate(11, 6_000, 0).train}
    second = {pair.source: pair.target for pair in generate(12, 6_000, 0).train}
    shared = first.keys() & second.keys()
    assert len(shared) > 100
    assert all(first[source] == second[source] for source in shared)
    assert len({german for german, _ in FRAMES}) == len(FRAMES)


def test_known_sentences_are_written(corpus: DemoCorpus) -> None:
    translations = {pair.source: pair.target for pair in corpus.train}
    assert translations["Es ist Viertel nach eins."] == "It is a quarter past one."
    assert translations["Es ist 14 Uhr."] == "It is 2 p.m."
    assert translations["Heute ist der erste Mai."] == "Today is the first of May."
