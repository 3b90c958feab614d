"""Printable: a text from outside as a message shows it, on one line."""


def printable(text: str) -> str:
    """`text` with what cannot be printed spelt out, line breaks and halves of characters too."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shortened(text: str, most: int) -> str:
    """The first `most` characters of `text`, printable, and dots if there are more."""
    return printable(text[:most]) + ("..." if len(text) > most else "")
