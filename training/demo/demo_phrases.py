"""The demo's phrases: values and things in German and English, for training or held out."""

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
    """The meaning of a phrase, independent of its wording."""

    kind: Literal["number", "date", "time"]
    parts: tuple[int, ...]
    """number and amount: (hundredths,); date: (day, month); time: (hour, minute) on the dial."""

    @property
    def is_elementary(self) -> bool:
        """Whether other values contain it or look like it: days, hours, years, "anderthalb"."""
        if self.kind == "number":
            whole, fraction = divmod(self.parts[0], 100)
            return self.parts == (150,) or (fraction == 0 and (whole <= 31 or whole in _YEARS))
        return self.kind == "time" and self.parts[1] == 0

    @property
    def is_held_out(self) -> bool:
        """Whether the value is kept out of training: a tenth of all that are not elementary."""
        digest = hashlib.sha256(f"{self.kind} {self.parts}".encode()).digest()
        return not self.is_elementary and digest[0] % _ONE_IN == 0


class DemoPhrase(NamedTuple):
    """A part of a sentence in both languages; `value` is None if it contains none."""

    german: str
    english: str
    value: Value | None = None


class DemoPhrases:
    """Random phrases whose values are all held out, or none of them."""

    def __init__(self, rng: random.Random, *, held_out: bool) -> None:
        self._rng = rng
        self._held_out = held_out

    def _fitting(self, sample: Callable[[], Value]) -> Value:
        """Sample until the value belongs to this part of the corpus."""
        while (value := sample()).is_held_out is not self._held_out:
            pass
        return value

    def word(self, words: tuple[tuple[str, str], ...]) -> DemoPhrase:
        return DemoPhrase(*self._rng.choice(words))

    def definite(self, articles: dict[str, str]) -> DemoPhrase:
        noun = self._rng.choice(lexicon.GOODS)
        return DemoPhrase(f"{articles[noun.gender]} {noun.german}", f"the {noun.english}")

    def _whole(self, low: int, high: int) -> int:
        """Sample a whole number for this part of the corpus; digit counts are equally likely."""

        def sample() -> Value:
            digits = self._rng.randint(len(str(low)), len(str(high)))
            n = self._rng.randint(max(low, 10 ** (digits - 1)), min(high, 10**digits - 1))
            return Value("number", (100 * n,))

        return self._fitting(sample).parts[0] // 100

    def figures(self, low: int, high: int) -> DemoPhrase:
        return _in_figures(100 * self._whole(low, high), decimals=0)

    def number(self, low: int, high: int) -> DemoPhrase:
        """Sample a whole number, in words or in digits with equal probability."""
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
        """Sample a number from one and a half to twelve and a half, in words."""
        value = self._fitting(lambda: Value("number", (100 * self._rng.randint(1, 12) + 50,)))
        n = value.parts[0] // 100
        german = "anderthalb" if n == 1 else f"{wording.german_number(n)}einhalb"
        return DemoPhrase(german, f"{wording.english_number(n)} and a half", value)

    def counted(
        self, nouns: tuple[Noun, ...], *, at_least: int, dative: bool = False
    ) -> DemoPhrase:
        """Sample a number of things, in words or digits; one thing is in the accusative."""
        noun = self._rng.choice(nouns)
        number = self.number(at_least, 99_999)
        plural = noun.german_plural_dative if dative else noun.german_plural
        return _agree(number, noun, plural)

    def quantity(self) -> DemoPhrase:
        """Sample a quantity of a substance, in the accusative."""
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
        """Sample an amount of money, in the accusative: whole euros, or euros and cents."""
        choice = self._rng.randrange(3)
        if choice == 0:
            number = self.number(2, 9_999)
            return number._replace(
                german=f"{number.german} Euro", english=f"{number.english} euros"
            )
        return self._price_in_words() if choice == 1 else self._price_in_figures()

    def _amount(self, max_digits: int, cents: range) -> Value:
        """Sample euros, from 2 and with all digit counts equally likely, and cents."""

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
        """Sample a day and month: with its article, or in the dative for use after "am"."""
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
        """Sample a day, month and year, in the dative."""
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
        """Sample a time of day: as spoken, on a 12-hour dial, or in digits, of 24 hours."""
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
    """Combine a number and its noun, which is plural, or for one thing in the accusative."""
    if number.value != Value("number", (100,)):
        return DemoPhrase(
            f"{number.german} {german_plural}",
            f"{number.english} {noun.english_plural}",
            number.value,
        )
    article = number.german if number.german == "1" else lexicon.INDEFINITE_ACCUSATIVE[noun.gender]
    return DemoPhrase(f"{article} {noun.german}", f"{number.english} {noun.english}", number.value)
