"""What happens inside the network, on the page, in a real browser."""

import json
from typing import Any

from playwright.sync_api import Page, expect

from tests.service.api.routes.browsing import (
    NEEDS_BROWSER,
    SENTENCES,
    SEVERAL,
    translate,
)

pytestmark = NEEDS_BROWSER


def opened_inside(page: Page) -> dict[str, Any]:
    """Open the view, and return what the server told it."""
    with page.expect_response("**/v1/trace") as told:
        page.locator("#inside > summary").click()
    found: dict[str, Any] = told.value.json()
    return found


def shown(page: Page) -> list[list[str | None]]:
    """The values of each unit, as they are told to screen readers."""
    rows = page.locator("#inside-table tbody tr").all()
    return [[cell.get_attribute("aria-label") for cell in row.locator("td").all()] for row in rows]


def expect_values(page: Page, rows: list[list[float]]) -> None:
    """Expect a row for each unit and a column for each step of `rows`."""
    units = [[f"{value:.2f}" for value in unit] for unit in zip(*rows, strict=True)]
    expect(page.locator("#inside-table tbody tr")).to_have_count(len(units))
    for found, expected in zip(shown(page), units, strict=True):
        for one, other in zip(found, expected, strict=True):
            # Rounded in two places.
            assert abs(float(one or "nan") - float(other)) < 0.011


def test_each_layer_and_value_can_be_chosen(page: Page, complaints: list[str]) -> None:
    translate(page)
    trace = opened_inside(page)
    expect(page.locator("#inside-layer option")).to_have_text(
        [
            "encoder 1, forward",
            "encoder 1, backward",
            "encoder 2, forward",
            "encoder 2, backward",
            "decoder 1",
            "decoder 2",
        ]
    )
    expect(page.locator("#inside-value")).to_have_value("forget")
    expect_values(page, trace["layers"][0]["values"]["forget"])
    names = page.locator("#inside-table thead th")
    expect(names).to_have_count(len(trace["source_pieces"]))
    expect(names.last).to_have_text("end")
    expect(page.locator("#inside-table tbody .joined")).to_have_count(0)

    page.locator("#inside-layer").select_option("decoder 2")
    page.locator("#inside-value").select_option("cell")

    cell = trace["layers"][5]["values"]["cell"]
    expect_values(page, cell)
    expect(names).to_have_count(len(trace["target_pieces"]))
    negative = sum(value < 0 for row in cell for value in row)
    expect(page.locator("#inside-table td.negative")).to_have_count(negative)
    most = max(abs(value) for row in cell for value in row)
    note = page.locator("#inside-note")
    expect(note).to_contain_text(f"and {most:.2f};")
    expect(note).to_contain_text(f"As it writes \u201c{trace['translation']}\u201d.")
    assert complaints == []


def test_another_text_is_traced_anew_with_the_same_choice(page: Page) -> None:
    translate(page)
    opened_inside(page)
    page.locator("#inside-layer").select_option("decoder 1")
    page.locator("#inside-value").select_option("hidden")
    with page.expect_response("**/v1/trace") as told:
        translate(page, "rot")
    expect_values(page, told.value.json()["layers"][4]["values"]["hidden"])
    expect(page.locator("#inside-layer")).to_have_value("decoder 1")


def test_of_several_sentences_it_is_that_of_the_cursor(page: Page) -> None:
    translate(page, SEVERAL)
    opened_inside(page)
    for place, key in ((0, "Control+Home"), (2, "Control+End")):
        with page.expect_request("**/v1/trace") as asked:
            page.locator("#source").press(key)
        assert json.loads(asked.value.post_data or "")["text"] == SENTENCES[place]


def test_what_cannot_be_traced_is_said(page: Page) -> None:
    translate(page, "...")
    page.locator("#inside > summary").click()
    expect(page.locator("#inside-empty")).to_contain_text("there are no words in it")
    page.locator("#clear").click()
    expect(page.locator("#inside-empty")).to_contain_text("Type a sentence")
