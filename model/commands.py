"""Commands: each script of this package as a function that imports it only when it is called."""

from typing import NoReturn

from model.cli.start import start


def translate() -> NoReturn:
    """Run dragoman-translate."""
    start("model.translate")


def score() -> NoReturn:
    """Run dragoman-score."""
    start("model.score")


def bench() -> NoReturn:
    """Run dragoman-bench."""
    start("model.bench")


def inspect() -> NoReturn:
    """Run dragoman-inspect."""
    start("model.inspect")


def pack() -> NoReturn:
    """Run dragoman-pack."""
    start("model.pack")
