"""Text in an SVG: its size, and room for it that suffices in any ordinary font."""

import unicodedata

SIZE = 11
"""Font size in units of the drawing."""

# In ems. Wide fonts such as Verdana and DejaVu Sans have digits of 0.64.
_NARROW, _LETTER, _CAPITAL, _WIDE = 0.4, 0.66, 0.82, 1.05


def text_width(text: str) -> float:
    """Estimate how wide `text` is, in units of the drawing; rather too much than too little."""
    return SIZE * sum(map(_ems, text))


def _ems(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0.0
    if letter in " .,:;'!|-()[]ijlt":
        return _NARROW
    if letter in "mwMW@%" or unicodedata.east_asian_width(letter) in "WF":
        return _WIDE
    if letter.isdigit() or letter.islower():
        return _LETTER
    return _CAPITAL
