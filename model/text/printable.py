"""Printable: text from outside, made fit to be shown in a one-line message."""


def printable(text: str) -> str:
    """Escape what cannot be printed in `text`, including line breaks and halves of characters."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shortened(text: str, most: int) -> str:
    """The first `most` characters of `text`, made printable, with dots if there are more."""
    return printable(text[:most]) + ("..." if len(text) > most else "")
