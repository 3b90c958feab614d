"""The demo's phrases: a value or a thing in German and in English, on one side of the corpus."""

import calendar
import hashlib
import random
from collections.abc import Callable
from typing import Literal, NamedTuple

from training.demo import lexicon, wording
from training.demo.lexicon import Noun

_YEARS = range(1950, 2030)
_ONE_IN = 10  # values is held out


class Value(NamedTuple):
    """What a phrase means, however it is worded."""

    kind: Literal["number", "date", "time"]
    parts: tuple[int, ...]
    """number and amount: (hundredths,); date: (day, month); time: (hour, minute) on the dial."""

    @property
    def is_elementary(self) -> bool:
        """Whether others are made of it or look like it: a day, an hour, a year, "anderthalb"."""
        if self.kind == "number":
            whole, fraction = divmod(self.parts[0], 100)
            return self.parts == (150,) or (fraction == 0 and (whole <= 31 or whole in _YEARS))
        return self.kind == "time" and self.parts[1] == 0

    @property
    def is_held_out(self) -> bool:
        """Whether training never sees this value: a tenth of all, but no elementary one."""
        digest = hashlib.sha256(f"{self.kind} {self.parts}".encode()).digest()
        return not self.is_elementary and digest[0] % _ONE_IN == 0


class DemoPhrase(NamedTuple):
    """A part of a sentence in both languages; `value` is None if it names none."""

    german: str
    english: str
    value: Value | None = None


class DemoPhrases:
    """Random phrases whose values are all held out, or none of them."""

    def __init__(self, rng: random.Random, *, held_out: bool) -> None:
        self._rng = rng
        self._held_out = held_out

    def _fitting(self, sample: Callable[[], Value]) -> Value:
        """The first sample on this side of the corpus."""
        while (value := sample()).is_held_out is not self._held_out:
            pass
        return value

    def word(self, words: tuple[tuple[str, str], ...]) -> DemoPhrase:
        return DemoPhrase(*self._rng.choice(words))

    def definite(self, articles: dict[str, str]) -> DemoPhrase:
        noun = self._rng.choice(lexicon.GOODS)
        return DemoPhrase(f"{articles[noun.gender]} {noun.german}", f"the {noun.english}")

    def _whole(self, low: int, high: int) -> int:
        """A whole number of this side, each number of digits equally likely."""

        def sample() -> Value:
            digits = self._rng.randint(len(str(low)), len(str(high)))
            n = self._rng.randint(max(low, 10 ** (digits - 1)), min(high, 10**digits - 1))
            return Value("number", (100 * n,))

        return self._fitting(sample).parts[0] // 100

    def figures(self, low: int, high: int) -> DemoPhrase:
        return _in_figures(100 * self._whole(low, high), decimals=0)

    def number(self, low: int, high: int) -> DemoPhrase:
        """A whole number, as often in words as in figures."""
        if self._rng.random() < 0.5:
            return self.figures(low, high)
        n = self._whole(low, min(high, 9_999))
        number = Value("number", (100 * n,))
        return DemoPhrase(wording.german_number(n), wording.english_number(n), number)

    def decimal(self) -> DemoPhrase:
        value = self._fitting(
            lambda: Value(
                "number", (100 * self._rng.randrange(100) + 10 * self._rng.randint(1, 9),)
            )
        )
        return _in_figures(value.parts[0], decimals=1)

    def _portion(self) -> DemoPhrase:
        return self.number(1, 999)

    def _half(self) -> DemoPhrase:
        """One and a half to twelve and a half, in words."""
        value = self._fitting(lambda: Value("number", (100 * self._rng.randint(1, 12) + 50,)))
        n = value.parts[0] // 100
        german = "anderthalb" if n == 1 else f"{wording.german_number(n)}einhalb"
        return DemoPhrase(german, f"{wording.english_number(n)} and a half", value)

    def counted(
        self, nouns: tuple[Noun, ...], *, at_least: int, dative: bool = False
    ) -> DemoPhrase:
        """A number of things, in words or in figures; a single one is in the accusative."""
        noun = self._rng.choice(nouns)
        number = self.number(at_least, 99_999)
        plural = noun.german_plural_dative if dative else noun.german_plural
        return _agree(number, noun, plural)

    def quantity(self) -> DemoPhrase:
        """So much of a substance, as an object."""
        unit = self._rng.choice(lexicon.UNITS)
        substance = self.word(lexicon.SUBSTANCES)
        kinds: tuple[Callable[[], DemoPhrase], ...] = (self._portion, self._half, self.decimal)
        measure = _agree(self._rng.choice(kinds)(), unit, unit.german_plural)
        return DemoPhrase(
            f"{measure.german} {substance.german}",
            f"{measure.english} of {substance.english}",
            measure.value,
        )

    def price(self) -> DemoPhrase:
        """An amount of money, as an object: whole euros, or euros and cents."""
        choice = self._rng.randrange(3)
        if choice == 0:
            number = self.number(2, 9_999)
            return number._replace(
                german=f"{number.german} Euro", english=f"{number.english} euros"
            )
        return self._price_in_words() if choice == 1 else self._price_in_figures()

    def _amount(self, max_digits: int, cents: range) -> Value:
        """Euros from 2 up, each number of digits equally likely, and cents."""

        def sample() -> Value:
            euros = self._rng.randrange(2, 10 ** self._rng.randint(1, max_digits))
            return Value("number", (100 * euros + self._rng.choice(cents),))

        return self._fitting(sample)

    def _price_in_figures(self) -> DemoPhrase:
        amount = self._amount(4, range(1, 100))
        german, english, _ = _in_figures(amount.parts[0], decimals=2)
        if self._rng.random() < 0.5:
            return DemoPhrase(f"{german} Euro", f"{english} euros", amount)
        return DemoPhrase(f"{german} €", f"€{english}", amount)

    def _price_in_words(self) -> DemoPhrase:
        amount = self._amount(3, range(10, 100))
        euros, cents = divmod(amount.parts[0], 100)
        german = f"{wording.german_number(euros)} Euro"
        english = f"{wording.english_number(euros)} euros"
        more_german, more_english = wording.german_number(cents), wording.english_number(cents)
        if self._rng.random() < 0.5:
            return DemoPhrase(f"{german} {more_german}", f"{english} {more_english}", amount)
        return DemoPhrase(
            f"{german} und {more_german} Cent", f"{english} and {more_english} cents", amount
        )

    def _day(self) -> Value:
        def sample() -> Value:
            month = self._rng.randint(1, 12)
            return Value("date", (self._rng.randint(1, calendar.monthrange(2001, month)[1]), month))

        return self._fitting(sample)

    def date(self, *, nominative: bool) -> DemoPhrase:
        """A day of a month: with its article, or in the dative that follows "am"."""
        value = self._day()
        day, month = value.parts
        german_month, english_month = lexicon.MONTHS[month - 1]
        if self._rng.random() < 0.5:
            german, english = f"{day}. {german_month}", f"{english_month} {day}"
        else:
            ordinal = wording.german_ordinal(day) + ("" if nominative else "n")
            german = f"{ordinal} {german_month}"
            english = f"the {wording.english_ordinal(day)} of {english_month}"
        return DemoPhrase(f"der {german}" if nominative else german, english, value)

    def full_date(self) -> DemoPhrase:
        """A day of a year, in the dative."""
        value = self._day()
        day, month = value.parts
        year = self._rng.choice(_YEARS)
        german_month, english_month = lexicon.MONTHS[month - 1]
        choice = self._rng.randrange(3)
        if choice == 0:
            return DemoPhrase(f"{day}.{month}.{year}", f"{month}/{day}/{year}", value)
        if choice == 1:
            return DemoPhrase(
                f"{day}. {german_month} {year}", f"{english_month} {day}, {year}", value
            )
        return DemoPhrase(
            f"{wording.german_ordinal(day)}n {german_month} {wording.german_year(year)}",
            f"the {wording.english_ordinal(day)} of {english_month}, {wording.english_year(year)}",
            value,
        )

    def time(self) -> DemoPhrase:
        """A time of day: as it is spoken, on the dial, or in figures, of 24 hours."""
        if self._rng.random() < 0.5:
            spoken = self._fitting(
                lambda: Value("time", (self._rng.randint(1, 12), self._rng.randrange(0, 60, 5)))
            )
            return DemoPhrase(*wording.spoken_clock(*spoken.parts), spoken)
        return self._time_in_figures()

    def _time_in_figures(self) -> DemoPhrase:
        half_day = self._rng.choice((0, 12))
        value = self._fitting(
            lambda: Value("time", (self._rng.randint(1, 12), self._rng.randrange(60)))
        )
        hour, minute = value.parts
        return DemoPhrase(*wording.figure_clock(hour % 12 + half_day, minute), value)


def _in_figures(hundredths: int, *, decimals: int) -> DemoPhrase:
    return DemoPhrase(
        wording.german_figures(hundredths, decimals=decimals),
        wording.english_figures(hundredths, decimals=decimals),
        Value("number", (hundredths,)),
    )


def _agree(number: DemoPhrase, noun: Noun, german_plural: str) -> DemoPhrase:
    """The number with its noun: plural, but for a single one, which is in the accusative."""
    if number.value != Value("number", (100,)):
        return DemoPhrase(
            f"{number.german} {german_plural}",
            f"{number.english} {noun.english_plural}",
            number.value,
        )
    article = number.german if number.german == "1" else lexicon.INDEFINITE_ACCUSATIVE[noun.gender]
    return DemoPhrase(f"{article} {noun.german}", f"{number.english} {noun.english}", number.value)
