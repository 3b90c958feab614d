"""The language of the demo: whether one of its frames, and which, can say a German sentence.

It reads what the generator of the demo writes, from the same frames and words; no model is asked.
"""

import re
from collections.abc import Callable, Iterable
from string import Formatter

from training.demo import lexicon
from training.demo.lexicon import Noun
from training.demo.wording import german_number, german_ordinal, german_year, spoken_clock

_NUMBER_WORDS = frozenset(german_number(n) for n in range(2, 10_000))
_HALVES = frozenset(f"{german_number(n)}einhalb" for n in range(2, 13)) | {"anderthalb"}
_ORDINALS = frozenset(german_ordinal(day) for day in range(1, 32))
_YEARS = frozenset(german_year(year) for year in range(1950, 2030))
_TIMES = frozenset(spoken_clock(hour, m)[0] for hour in range(1, 13) for m in range(0, 60, 5))
_MONTHS = frozenset(german for german, _ in lexicon.MONTHS)
_UNITS = frozenset(form for unit in lexicon.UNITS for form in (unit.german, unit.german_plural))
_SUBSTANCES = frozenset(german for german, _ in lexicon.SUBSTANCES)

_WHOLE = r"[1-9]\d{0,2}(?:\.\d{3})?"
_DAY = r"(?:[1-9]|[12]\d|3[01])"
_MONTH = r"(?:[1-9]|1[0-2])"


def frame_of(sentence: str) -> int | None:
    """Which of the demo's frames says `sentence`; None if it is not of the demo's language."""
    for spoken in (sentence, sentence[:1].lower() + sentence[1:]):
        for i, (german, _) in enumerate(lexicon.FRAMES):
            names = [name for _, name, _, _ in Formatter().parse(german) if name]
            found = _filled(german).fullmatch(spoken)
            if found and all(map(_says, names, found.groups())):
                return i
    return None


def could_be_its_english(sentence: str, frame: int) -> bool:
    """Whether the English of the frame has the shape of `sentence`, whatever is in its slots."""
    english = _filled(lexicon.FRAMES[frame][1])
    return any(
        english.fullmatch(spoken) for spoken in (sentence, sentence[:1].lower() + sentence[1:])
    )


def _filled(frame: str) -> re.Pattern[str]:
    return re.compile("(.+)".join(map(re.escape, re.split(r"\{\w+\}", frame))))


def _says(slot: str, text: str) -> bool:
    return _SLOTS[slot](text)


def _is_number(text: str) -> bool:
    return text in _NUMBER_WORDS or re.fullmatch(_WHOLE, text) is not None


def _is_decimal(text: str) -> bool:
    return re.fullmatch(r"\d{1,2},[1-9]", text) is not None


def _counted(nouns: tuple[Noun, ...], *, dative: bool = False) -> Callable[[str], bool]:
    plurals = {noun.german_plural_dative if dative else noun.german_plural for noun in nouns}

    def says(text: str) -> bool:
        number, _, noun = text.rpartition(" ")
        return noun in plurals and _is_number(number)

    return says


def _goods(text: str) -> bool:
    one = {
        f"{article} {noun.german}"
        for noun in lexicon.GOODS
        for article in ("1", lexicon.INDEFINITE_ACCUSATIVE[noun.gender])
    }
    return text in one or _counted(lexicon.GOODS)(text)


def _quantity(text: str) -> bool:
    measure, unit, substance = ["", "", *text.split(" ")][-3:]
    articles = lexicon.INDEFINITE_ACCUSATIVE.values()
    measured = _is_number(measure) or _is_decimal(measure) or measure in _HALVES
    return (measured or measure in articles) and unit in _UNITS and substance in _SUBSTANCES


def _price(text: str) -> bool:
    if re.fullmatch(rf"{_WHOLE},\d\d (?:Euro|€)", text):
        return True
    found = re.fullmatch(r"(\S+) Euro(?:(?: (\S+))|(?: und (\S+) Cent))?", text)
    if found is None:
        return False
    euros, cents = found[1], found[2] or found[3]
    return _is_number(euros) if cents is None else {euros, cents} <= _NUMBER_WORDS


def _date(text: str, ending: str = "n") -> bool:
    day, _, month = text.rpartition(" ")
    spoken = day.endswith(ending) and day.removesuffix(ending) in _ORDINALS
    return month in _MONTHS and (spoken or re.fullmatch(rf"{_DAY}\.", day) is not None)


def _date_nominative(text: str) -> bool:
    return text.startswith("der ") and _date(text.removeprefix("der "), ending="")


def _full_date(text: str) -> bool:
    if re.fullmatch(rf"{_DAY}\.{_MONTH}\.(?:19[5-9]\d|20[0-2]\d)", text):
        return True
    date, _, year = text.rpartition(" ")
    return _date(date) and (
        year in _YEARS or re.fullmatch(r"19[5-9]\d|20[0-2]\d", year) is not None
    )


def _time(text: str) -> bool:
    return text in _TIMES or re.fullmatch(r"(?:1?\d|2[0-3])(?::[0-5]\d)? Uhr", text) is not None


def _one_of(words: Iterable[tuple[str, str]]) -> Callable[[str], bool]:
    return frozenset(german for german, _ in words).__contains__


def _definite(articles: dict[str, str]) -> Callable[[str], bool]:
    return frozenset(f"{articles[n.gender]} {n.german}" for n in lexicon.GOODS).__contains__


_SLOTS: dict[str, Callable[[str], bool]] = {
    "people": _counted(lexicon.PEOPLE),
    "people_dative": _counted(lexicon.PEOPLE, dative=True),
    "goods": _goods,
    "many_goods": _counted(lexicon.GOODS),
    "subject": _definite(lexicon.DEFINITE_NOMINATIVE),
    "object": _definite(lexicon.DEFINITE_ACCUSATIVE),
    "age": _is_number,
    "length": _is_decimal,
    "label": _is_number,
    "quantity": _quantity,
    "price": _price,
    "date": _date,
    "date_nominative": _date_nominative,
    "full_date": _full_date,
    "time": _time,
    "end": _time,
    "person": _one_of(lexicon.PERSONS),
    "event": _one_of(lexicon.EVENTS),
    "place": _one_of(lexicon.PLACES),
    "vehicle": _one_of(lexicon.VEHICLES),
    "weekday": _one_of(lexicon.WEEKDAYS),
}
