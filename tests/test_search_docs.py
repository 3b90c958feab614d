"""docs/search.md names every search option with its default, and no other."""

import dataclasses
import re
from pathlib import Path

from model.decoding.options import SearchOptions

PAGE = (Path(__file__).parents[1] / "docs" / "search.md").read_text(encoding="utf-8")


def test_the_table_is_that_of_the_options() -> None:
    told: dict[str, str] = {}
    for row in re.findall(r"^\| (`.*?) \|(.*?)\|", PAGE, flags=re.MULTILINE):
        names = re.findall(r"`(\w+)`", row[0])
        defaults = re.findall(r"[\w.]+", row[1]) or [""] * len(names)
        told |= dict(zip(names, defaults, strict=True))
    fields = dataclasses.fields(SearchOptions)
    assert told == {f.name: "" if f.default == () else str(f.default) for f in fields}
    assert list(told) == [f.name for f in fields]
