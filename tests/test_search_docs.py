"""docs/search.md has a table of the search options, made from their descriptions."""

from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from model.decoding.options import DESCRIPTIONS, SearchOptions

PAGE = (Path(__file__).parents[1] / "docs" / "search.md").read_text(encoding="utf-8")


def allowed(name: str, hint: object) -> str:
    """What the table says of the values of an option."""
    if get_origin(hint) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(hint))
    description = DESCRIPTIONS[name]
    if description.bounds is None:
        return "text" if hint is str else "list of texts"
    least, most = (f"{int(bound):,}" for bound in description.bounds)
    return f"above {least}, to {most}" if description.above_least else f"{least} to {most}"


def table() -> str:
    rows = ["| option | default | allowed | what it is |", "|---|---|---|---|"]
    defaults = SearchOptions()
    for name, hint in get_type_hints(SearchOptions).items():
        default = getattr(defaults, name)
        shown = "" if default in ("", (), None) else str(default)
        rows.append(f"| `{name}` | {shown} | {allowed(name, hint)} | {DESCRIPTIONS[name].text} |")
    return "\n".join(rows)


def test_the_table_is_that_of_the_options() -> None:
    begin = PAGE.index("| option |")
    assert PAGE[begin : PAGE.index("\n\n", begin)] == table()
