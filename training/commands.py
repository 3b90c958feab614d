"""Commands: each script of this package as a function that imports it only when it is called."""

from typing import NoReturn

from model.cli.start import start


def train() -> NoReturn:
    """Run dragoman-train."""
    start("training.train")


def shortlist() -> NoReturn:
    """Run dragoman-shortlist."""
    start("training.shortlist")


def evaluate() -> NoReturn:
    """Run dragoman-evaluate."""
    start("training.evaluate")


def average() -> NoReturn:
    """Run dragoman-average."""
    start("training.average")


def distill() -> NoReturn:
    """Run dragoman-distill."""
    start("training.distill")


def public_data() -> NoReturn:
    """Run dragoman-data."""
    start("training.public_data")
