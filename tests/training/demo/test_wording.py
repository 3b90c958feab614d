"""Number words, ordinals, years and clock times against tables written by hand."""

import pytest

from training.demo.wording import (
    english_figures,
    english_number,
    english_ordinal,
    english_year,
    figure_clock,
    german_figures,
    german_number,
    german_ordinal,
    german_year,
    spoken_clock,
)

NUMBERS = [
    (0, "null", "zero"),
    (1, "eins", "one"),
    (6, "sechs", "six"),
    (7, "sieben", "seven"),
    (10, "zehn", "ten"),
    (11, "elf", "eleven"),
    (12, "zwölf", "twelve"),
    (13, "dreizehn", "thirteen"),
    (16, "sechzehn", "sixteen"),
    (17, "siebzehn", "seventeen"),
    (18, "achtzehn", "eighteen"),
    (20, "zwanzig", "twenty"),
    (21, "einundzwanzig", "twenty-one"),
    (30, "dreißig", "thirty"),
    (37, "siebenunddreißig", "thirty-seven"),
    (40, "vierzig", "forty"),
    (60, "sechzig", "sixty"),
    (66, "sechsundsechzig", "sixty-six"),
    (70, "siebzig", "seventy"),
    (99, "neunundneunzig", "ninety-nine"),
    (100, "hundert", "one hundred"),
    (101, "hunderteins", "one hundred and one"),
    (112, "hundertzwölf", "one hundred and twelve"),
    (121, "hunderteinundzwanzig", "one hundred and twenty-one"),
    (200, "zweihundert", "two hundred"),
    (437, "vierhundertsiebenunddreißig", "four hundred and thirty-seven"),
    (616, "sechshundertsechzehn", "six hundred and sixteen"),
    (1000, "tausend", "one thousand"),
    (1001, "tausendeins", "one thousand and one"),
    (1100, "tausendeinhundert", "one thousand one hundred"),
    (1200, "tausendzweihundert", "one thousand two hundred"),
    (2101, "zweitausendeinhunderteins", "two thousand one hundred and one"),
    (7017, "siebentausendsiebzehn", "seven thousand and seventeen"),
    (
        9871,
        "neuntausendachthunderteinundsiebzig",
        "nine thousand eight hundred and seventy-one",
    ),
]
ORDINALS = [
    (1, "erste", "first"),
    (2, "zweite", "second"),
    (3, "dritte", "third"),
    (5, "fünfte", "fifth"),
    (6, "sechste", "sixth"),
    (7, "siebte", "seventh"),
    (8, "achte", "eighth"),
    (9, "neunte", "ninth"),
    (12, "zwölfte", "twelfth"),
    (16, "sechzehnte", "sixteenth"),
    (19, "neunzehnte", "nineteenth"),
    (20, "zwanzigste", "twentieth"),
    (21, "einundzwanzigste", "twenty-first"),
    (22, "zweiundzwanzigste", "twenty-second"),
    (27, "siebenundzwanzigste", "twenty-seventh"),
    (30, "dreißigste", "thirtieth"),
    (31, "einunddreißigste", "thirty-first"),
]
YEARS = [
    (1950, "neunzehnhundertfünfzig", "nineteen fifty"),
    (1987, "neunzehnhundertsiebenundachtzig", "nineteen eighty-seven"),
    (2000, "zweitausend", "two thousand"),
    (2007, "zweitausendsieben", "two thousand and seven"),
    (2024, "zweitausendvierundzwanzig", "two thousand and twenty-four"),
]
SPOKEN = [
    (1, 0, "ein Uhr", "one o'clock"),
    (12, 0, "zwölf Uhr", "twelve o'clock"),
    (1, 15, "Viertel nach eins", "a quarter past one"),
    (3, 5, "fünf nach drei", "five past three"),
    (3, 20, "zwanzig nach drei", "twenty past three"),
    (3, 25, "fünf vor halb vier", "twenty-five past three"),
    (3, 30, "halb vier", "half past three"),
    (3, 35, "fünf nach halb vier", "twenty-five to four"),
    (3, 40, "zwanzig vor vier", "twenty to four"),
    (3, 45, "Viertel vor vier", "a quarter to four"),
    (12, 30, "halb eins", "half past twelve"),
    (12, 55, "fünf vor eins", "five to one"),
]
FIGURE_TIMES = [
    (0, 15, "0:15 Uhr", "12:15 a.m."),
    (9, 5, "9:05 Uhr", "9:05 a.m."),
    (12, 0, "12 Uhr", "12 p.m."),
    (12, 30, "12:30 Uhr", "12:30 p.m."),
    (14, 30, "14:30 Uhr", "2:30 p.m."),
    (23, 0, "23 Uhr", "11 p.m."),
]
FIGURES = [
    (700, 0, "7", "7"),
    (123400, 0, "1.234", "1,234"),
    (1250, 1, "12,5", "12.5"),
    (305, 2, "3,05", "3.05"),
    (123450, 2, "1.234,50", "1,234.50"),
    (1234567800, 0, "12.345.678", "12,345,678"),
]


@pytest.mark.parametrize(("n", "german", "english"), NUMBERS)
def test_number_words(n: int, german: str, english: str) -> None:
    assert (german_number(n), english_number(n)) == (german, english)


def test_every_number_has_words_of_its_own() -> None:
    numbers = range(10_000)
    assert len({german_number(n) for n in numbers}) == len(numbers)
    assert len({english_number(n) for n in numbers}) == len(numbers)


@pytest.mark.parametrize(("n", "german", "english"), ORDINALS)
def test_ordinals(n: int, german: str, english: str) -> None:
    assert (german_ordinal(n), english_ordinal(n)) == (german, english)


@pytest.mark.parametrize(("year", "german", "english"), YEARS)
def test_years(year: int, german: str, english: str) -> None:
    assert (german_year(year), english_year(year)) == (german, english)


@pytest.mark.parametrize(("hour", "minute", "german", "english"), SPOKEN)
def test_spoken_times(hour: int, minute: int, german: str, english: str) -> None:
    assert spoken_clock(hour, minute) == (german, english)


@pytest.mark.parametrize(("hour", "minute", "german", "english"), FIGURE_TIMES)
def test_times_in_figures(hour: int, minute: int, german: str, english: str) -> None:
    assert figure_clock(hour, minute) == (german, english)


@pytest.mark.parametrize(("hundredths", "decimals", "german", "english"), FIGURES)
def test_numbers_in_figures(hundredths: int, decimals: int, german: str, english: str) -> None:
    assert german_figures(hundredths, decimals=decimals) == german
    assert english_figures(hundredths, decimals=decimals) == english
