"""Rewrites: both sides mean the same, and nothing that is tested is trained on."""

import datetime
import re
from itertools import islice
from pathlib import Path

import pytest

from model.transducer import Transducer
from training.demo.lexicon import MONTHS
from training.demo.rewrites import (
    DATE_FORMS,
    NUMBER_FORMS,
    SIZES,
    Rewrite,
    is_held_out,
    main,
    rewrites,
)
from training.train import main as train

NAMES = {name: number for number, month in enumerate(MONTHS, start=1) for name in month}
ISO = re.compile(r"\d{4}-\d{2}-\d{2}")


def meant(source: str) -> set[int]:
    """Day, month and year of a date in figures or with the name of a month, whichever is which."""
    named = {NAMES[word] for word in re.findall(r"[^\W\d]+", source) if word in NAMES}
    named |= {NAMES[name] for name in NAMES for word in source.split() if name[:3] == word}
    return named | set(map(int, re.findall(r"\d+", source)))


def test_dates_are_the_same_day() -> None:
    date = datetime.date(2024, 3, 5)
    spelt = [form(date) for form in DATE_FORMS]
    assert len(set(spelt)) == len(DATE_FORMS)
    for source in spelt:
        if "fifth" not in source:
            assert meant(source) == {2024, 3, 5}, source
    assert "3/5/2024" in spelt  # the month first, as in the United States
    assert "5.3.2024" in spelt  # the day first, as in Germany
    assert "the fifth of March, 2024" in spelt


def test_numbers_are_the_same_number() -> None:
    assert {form(1207) for form in NUMBER_FORMS} == {
        Rewrite("1207", "one thousand two hundred and seven"),
        Rewrite("one thousand two hundred and seven", "1207"),
        Rewrite("tausendzweihundertsieben", "1207"),
    }


def test_a_source_has_one_target() -> None:
    found: dict[str, str] = {}
    for pair in islice(rewrites("any", held_out=False), 20_000):
        assert found.setdefault(pair.source, pair.target) == pair.target


def test_no_tested_value_is_in_training() -> None:
    def values(held_out: bool) -> set[str]:
        pairs = list(islice(rewrites("any", held_out=held_out), 5_000))
        dates = {pair.target for pair in pairs if ISO.fullmatch(pair.target)}
        numbers = {side for pair in pairs for side in pair if side.isdigit()}
        assert len(dates) > 1_000 and len(numbers) > 500
        return dates | numbers

    assert not values(True) & values(False)
    assert 0.15 < sum(map(is_held_out, range(10_000))) / 10_000 < 0.25


def test_files_fit_together(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    for name, count in SIZES.items():
        sides = [(tmp_path / f"{name}.{side}").read_text().splitlines() for side in Rewrite._fields]
        assert [len(lines) for lines in sides] == [count, count]
        assert all(map(str.strip, sides[0] + sides[1]))


@pytest.mark.slow
def test_a_network_learns_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The training that docs/symbols.md describes: minutes."""
    assert main([str(tmp_path)]) == 0
    monkeypatch.setenv("DRAGOMAN_DATA", str(tmp_path))
    config = Path(__file__).parents[3] / "configs" / "rewrites.yaml"
    assert train([str(config), "--output", str(tmp_path / "run"), "run.device=cpu"]) == 0
    transducer = Transducer.load(tmp_path / "run", device="cpu")
    sources, targets = (
        (tmp_path / f"test.{side}").read_text().splitlines() for side in Rewrite._fields
    )
    found = [one.text for one in transducer.transduce(sources)]
    right = sum(output == target for output, target in zip(found, targets, strict=True))
    assert right / len(targets) >= 0.95
