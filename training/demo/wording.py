"""Numbers, ordinals, years and clock times in words and figures, German and English."""

# fmt: off
_GERMAN_UNITS = (
    "null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn",
    "elf", "zwölf", "dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn", "achtzehn",
    "neunzehn",
)
_GERMAN_TENS = (
    "-", "-", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig",
    "neunzig",
)
_ENGLISH_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)
_ENGLISH_TENS = (
    "-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)
# fmt: on
_GERMAN_ORDINALS = {1: "erste", 3: "dritte", 7: "siebte", 8: "achte"}  # the irregular ones
_ENGLISH_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_SPOKEN_MINUTES = {
    5: ("fünf nach {this}", "five past {this}"),
    10: ("zehn nach {this}", "ten past {this}"),
    15: ("Viertel nach {this}", "a quarter past {this}"),
    20: ("zwanzig nach {this}", "twenty past {this}"),
    25: ("fünf vor halb {next}", "twenty-five past {this}"),
    30: ("halb {next}", "half past {this}"),
    35: ("fünf nach halb {next}", "twenty-five to {next}"),
    40: ("zwanzig vor {next}", "twenty to {next}"),
    45: ("Viertel vor {next}", "a quarter to {next}"),
    50: ("zehn vor {next}", "ten to {next}"),
    55: ("fünf vor {next}", "five to {next}"),
}


def german_number(n: int) -> str:
    """The cardinal `n`, 0 to 9999, in words: 101 is "hunderteins", 1200 "tausendzweihundert"."""
    if n >= 1000:
        thousands, rest = divmod(n, 1000)
        head = "tausend" if thousands == 1 else f"{_german_prefix(thousands)}tausend"
        return head + (_german_below_1000(rest, "einhundert") if rest else "")
    return _german_below_1000(n, "hundert")


def _german_below_1000(n: int, one_hundred: str) -> str:
    if n < 100:
        return _german_below_100(n)
    hundreds, rest = divmod(n, 100)
    head = one_hundred if hundreds == 1 else f"{_german_prefix(hundreds)}hundert"
    return head + (_german_below_100(rest) if rest else "")


def _german_below_100(n: int) -> str:
    if n < 20:
        return _GERMAN_UNITS[n]
    tens, unit = divmod(n, 10)
    return f"{_german_prefix(unit)}und{_GERMAN_TENS[tens]}" if unit else _GERMAN_TENS[tens]


def _german_prefix(unit: int) -> str:
    """A unit before another part of the same word, where "eins" loses its s."""
    return "ein" if unit == 1 else _GERMAN_UNITS[unit]


def english_number(n: int) -> str:
    """The cardinal `n`, 0 to 9999, in words: 1007 is "one thousand and seven"."""
    if n < 20:
        return _ENGLISH_UNITS[n]
    if n < 100:
        tens, unit = divmod(n, 10)
        return f"{_ENGLISH_TENS[tens]}-{_ENGLISH_UNITS[unit]}" if unit else _ENGLISH_TENS[tens]
    if n < 1000:
        hundreds, rest = divmod(n, 100)
        return f"{_ENGLISH_UNITS[hundreds]} hundred" + (
            f" and {english_number(rest)}" if rest else ""
        )
    thousands, rest = divmod(n, 1000)
    joint = " and " if 0 < rest < 100 else " "
    return f"{_ENGLISH_UNITS[thousands]} thousand" + (joint + english_number(rest) if rest else "")


def german_ordinal(n: int) -> str:
    """The ordinal `n`, 1 to 31, after the article "der": "dritte", "einundzwanzigste"."""
    if n in _GERMAN_ORDINALS:
        return _GERMAN_ORDINALS[n]
    return german_number(n) + ("te" if n < 20 else "ste")


def english_ordinal(n: int) -> str:
    """The ordinal `n`, 1 to 31: "third", "twelfth", "twentieth", "twenty-first"."""
    head, hyphen, last = english_number(n).rpartition("-")
    if last in _ENGLISH_ORDINALS:
        return head + hyphen + _ENGLISH_ORDINALS[last]
    return head + hyphen + (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")


def german_year(year: int) -> str:
    """The `year`, 1950 to 2029, as it is spoken: "neunzehnhundertsiebzig", "zweitausendsieben"."""
    if year >= 2000:
        return german_number(year)
    century, rest = divmod(year, 100)
    return f"{german_number(century)}hundert" + (_german_below_100(rest) if rest else "")


def english_year(year: int) -> str:
    """The `year`, 1950 to 2029, as it is spoken: "nineteen seventy", "two thousand and seven"."""
    if year >= 2000:
        return english_number(year)
    return f"{english_number(year // 100)} {english_number(year % 100)}"


def spoken_clock(hour: int, minute: int) -> tuple[str, str]:
    """German and English for a time on the dial: hour 1 to 12, every five minutes.

    3:35 is "fünf nach halb vier" and "twenty-five to four".
    """
    following = hour % 12 + 1
    if minute == 0:
        return f"{_german_prefix(hour)} Uhr", f"{english_number(hour)} o'clock"
    german, english = _SPOKEN_MINUTES[minute]
    return (
        german.format(this=german_number(hour), next=german_number(following)),
        english.format(this=english_number(hour), next=english_number(following)),
    )


def figure_clock(hour: int, minute: int) -> tuple[str, str]:
    """German and English figures for a time of day: 14:30 is "14:30 Uhr" and "2:30 p.m."."""
    half = "a.m." if hour < 12 else "p.m."
    dial = (hour - 1) % 12 + 1
    if minute == 0:
        return f"{hour} Uhr", f"{dial} {half}"
    return f"{hour}:{minute:02d} Uhr", f"{dial}:{minute:02d} {half}"


def german_figures(hundredths: int, *, decimals: int) -> str:
    """A number in figures, "1.234,50": point between thousands, decimal comma."""
    english = english_figures(hundredths, decimals=decimals)
    return english.translate(str.maketrans(".,", ",."))


def english_figures(hundredths: int, *, decimals: int) -> str:
    """A number in figures, "1,234.50": comma between thousands, decimal point.

    `decimals` is 0, 1 or 2; the digits left out must be zeros.
    """
    whole, fraction = divmod(hundredths, 100)
    return f"{whole:,}" + (f".{fraction:02d}"[: decimals + 1] if decimals else "")
