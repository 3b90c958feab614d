"""The demo's corpus: German sentences about numbers, dates, times and prices, and translations.

Every sentence has exactly one translation, and every value is used either for training or for the
held-out set, so a model that translates held-out sentences has learned how values are composed.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import NamedTuple

from training.demo import lexicon
from training.demo.demo_phrases import DemoPhrase, DemoPhrases, Value


class DemoPair(NamedTuple):
    """A German sentence, its English translation and the values that both contain."""

    source: str
    target: str
    values: frozenset[Value]


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoCorpus:
    """Two lists of pairs that share no value."""

    train: list[DemoPair]
    held_out: list[DemoPair]


def generate(seed: int, train_pairs: int, held_out_pairs: int) -> DemoCorpus:
    """Generate the corpus of `seed`; within each list no sentence occurs twice."""
    return DemoCorpus(
        train=_distinct(train_pairs, random.Random(f"{seed} train"), held_out=False),
        held_out=_distinct(held_out_pairs, random.Random(f"{seed} held out"), held_out=True),
    )


def _distinct(count: int, rng: random.Random, *, held_out: bool) -> list[DemoPair]:
    slots = _slots(DemoPhrases(rng, held_out=held_out))
    pairs: dict[str, DemoPair] = {}
    while len(pairs) < count:
        german, english = rng.choice(lexicon.FRAMES)
        pair = _fill(german, english, slots)
        pairs.setdefault(pair.source, pair)
    return list(pairs.values())


def _slots(phrases: DemoPhrases) -> dict[str, Callable[[], DemoPhrase]]:
    """Return the generator of phrases for each slot of the frames."""
    return {
        "people": lambda: phrases.counted(lexicon.PEOPLE, at_least=2),
        "people_dative": lambda: phrases.counted(lexicon.PEOPLE, at_least=2, dative=True),
        "goods": lambda: phrases.counted(lexicon.GOODS, at_least=1),
        "many_goods": lambda: phrases.counted(lexicon.GOODS, at_least=2),
        "subject": lambda: phrases.definite(lexicon.DEFINITE_NOMINATIVE),
        "object": lambda: phrases.definite(lexicon.DEFINITE_ACCUSATIVE),
        "age": lambda: phrases.number(2, 99),
        "length": phrases.decimal,
        "label": lambda: phrases.figures(1, 999),
        "quantity": phrases.quantity,
        "price": phrases.price,
        "date": lambda: phrases.date(nominative=False),
        "date_nominative": lambda: phrases.date(nominative=True),
        "full_date": phrases.full_date,
        "time": phrases.time,
        "end": phrases.time,
        "person": lambda: phrases.word(lexicon.PERSONS),
        "event": lambda: phrases.word(lexicon.EVENTS),
        "place": lambda: phrases.word(lexicon.PLACES),
        "vehicle": lambda: phrases.word(lexicon.VEHICLES),
        "weekday": lambda: phrases.word(lexicon.WEEKDAYS),
    }


def _fill(german: str, english: str, slots: Mapping[str, Callable[[], DemoPhrase]]) -> DemoPair:
    names = [name for _, name, _, _ in Formatter().parse(german) if name]
    phrases = {name: slots[name]() for name in names}
    return DemoPair(
        _sentence(german.format_map({name: phrases[name].german for name in names})),
        _sentence(english.format_map({name: phrases[name].english for name in names})),
        frozenset(phrase.value for phrase in phrases.values() if phrase.value),
    )


def _sentence(text: str) -> str:
    """Capitalize `text`, and drop the second full stop after "p.m."."""
    return (text[0].upper() + text[1:]).replace("m..", "m.")
