"""The page in a real browser: what it does with what is typed, said and clicked."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.patience import PATIENCE_S
from tests.service.api.routes.browsing import (
    NEEDS_BROWSER,
    PATIENCE_MS,
    TEXT,
    TOO_LONG,
    answer_of,
    settled,
    translate,
)

pytestmark = NEEDS_BROWSER


def test_what_is_typed_is_translated(page: Page, url: str, complaints: list[str]) -> None:
    page.locator("#source").press_sequentially(TEXT, delay=5)
    settled(page)
    expected = str(answer_of(url, TEXT)["translation"])
    assert page.locator("#output").inner_text() == expected
    assert page.locator("#spoken").inner_text() == expected
    page.locator("#clear").click()
    expect(page.locator("#output")).to_have_text("")
    assert complaints == []


def test_a_text_that_changes_aborts_the_request_in_flight(page: Page) -> None:
    ended: list[str] = []
    page.on("requestfailed", lambda request: ended.append(request.url))
    source = page.locator("#source")
    with page.expect_request("**/v1/translate"):
        source.fill(" ".join([TEXT] * 300))
    with page.expect_event("requestfailed"):
        source.press("End")
        source.press_sequentially("!")
    assert ended[0].endswith("/v1/translate")


def test_a_word_shows_where_it_comes_from(page: Page, url: str) -> None:
    translate(page)
    alignment = answer_of(url, TEXT)["word_alignment"]
    for place in {0, len(alignment) - 1}:
        page.locator("#output .word").nth(place).hover()
        expected = TEXT.split()[alignment[place]]
        expect(page.locator("#mirror .lit")).to_have_text(expected)
        expect(page.locator("#threads path")).to_have_count(1)
        assert page.locator("#caption").inner_text().endswith(f"← {expected}")


def test_a_word_of_the_text_shows_what_became_of_it(page: Page, url: str) -> None:
    translate(page)
    place = (alignment := answer_of(url, TEXT)["word_alignment"])[0]
    box = page.locator("#mirror .word").nth(place).bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#output .lit")).to_have_count(alignment.count(place))


def test_by_keyboard_alone(page: Page) -> None:
    page.locator("#source").focus()
    page.keyboard.type(TEXT)
    settled(page)
    page.keyboard.press("Shift+Tab")
    expect(page.locator("#clear")).to_be_focused()
    page.keyboard.press("Tab")
    seen = []
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "() => [document.activeElement.id || document.activeElement.className"
            " || document.activeElement.textContent.trim(),"
            " getComputedStyle(document.activeElement).outlineStyle]"
        )
        seen.append(focused[0])
        if focused[0].startswith("word"):
            assert focused[1] != "none"
            page.keyboard.press("End")
            expect(page.locator("#output .word").last).to_be_focused()
            expect(page.locator("#mirror .lit")).to_have_count(1)
            page.keyboard.press("Enter")
            expect(page.locator("#output .word").last).to_have_attribute("aria-pressed", "true")
            page.keyboard.press("Escape")
            expect(page.locator("#output [aria-pressed=true]")).to_have_count(0)
        if focused[0] == "Attention":
            page.keyboard.press("Enter")
            break
    assert {"copy", "word lit", "Options", "Attention"} <= set(seen)
    expect(page.locator("#heat tbody td").first).to_be_visible(timeout=PATIENCE_MS)


def test_the_heat_map_is_also_there_in_words(page: Page, url: str, complaints: list[str]) -> None:
    translate(page)
    page.locator("#attention > summary").click()
    expect(page.locator("#heat tbody td").first).to_be_visible(timeout=PATIENCE_MS)
    weights = answer_of(url, TEXT, **{"return": ["attention"]})["attention"]
    rows = page.locator("#heat tbody tr")
    expect(rows).to_have_count(len(weights))
    expect(rows.first.locator("td")).to_have_count(len(weights[0]))
    shown = rows.first.locator("td").first.get_attribute("aria-label")
    assert shown and abs(int(shown.split("\u00a0")[0]) - 100 * weights[0][0]) <= 1
    expect(page.locator("#heat-list li")).to_have_count(len(weights))
    colours = page.evaluate(
        "[...document.querySelectorAll('#heat tbody tr:first-child td')]"
        ".map((cell) => getComputedStyle(cell).backgroundColor)"
    )
    assert len(set(colours)) > 1
    assert complaints == []


def test_alternatives_have_scores_and_can_be_chosen(page: Page, url: str) -> None:
    translate(page)
    buttons = page.locator("#alternatives-list button")
    others = answer_of(url, TEXT)["alternatives"]
    expect(buttons).to_have_count(1 + len(others))
    buttons.last.click()
    expect(buttons.last).to_have_attribute("aria-pressed", "true")
    assert page.locator("#output").inner_text() == others[-1]["translation"]
    shown = buttons.last.locator(".alternative-score").inner_text().replace("\u2212", "-")
    assert f"{others[-1]['score']:.2f}" in shown


def test_options_reach_the_server(page: Page) -> None:
    translate(page)
    page.locator("#options > summary").click()
    with page.expect_request("**/v1/translate") as sent:
        page.get_by_label("Beam").fill("1")
    asked = json.loads(sent.value.post_data or "")
    assert asked["options"]["beam_size"] == asked["options"]["n_best"] == 1
    settled(page)
    expect(page.locator("#alternatives")).to_be_hidden()


def test_the_theme_is_that_of_the_system_unless_one_is_chosen(page: Page) -> None:
    def background() -> str:
        colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return colour

    theme = page.get_by_label("Theme")
    expect(theme).to_have_value("system")
    light = background()
    page.emulate_media(color_scheme="dark")
    dark = background()
    assert light != dark
    theme.select_option("Light theme")
    assert background() == light
    page.reload()
    assert background() == light
    expect(theme).to_have_value("light")
    page.emulate_media(color_scheme="light")
    theme.select_option("Dark theme")
    assert background() == dark
    theme.select_option("System theme")
    assert background() == light
    page.reload()
    assert background() == light
    expect(theme).to_have_value("system")


def test_it_fits_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    translate(page)
    page.locator("#attention > summary").click()
    expect(page.locator("#heat tbody td").first).to_be_visible(timeout=PATIENCE_MS)
    for name in ("options", "about"):
        page.locator(f"#{name} > summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.route("**/v1/translate", lambda route: route.abort())
    page.locator("#source").fill("word" * 200)
    expect(page.locator("#notice")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_markup_in_a_text_stays_text(page: Page, complaints: list[str]) -> None:
    translate(page, "<img src=x onerror=alert(1)> & <b>der Hund</b>")
    assert page.locator("#mirror img, #output img, #output b").count() == 0
    assert complaints == []


# What there is to know of an answer


def remark_on(found: dict[str, Any], answer: str = "translation") -> str | re.Pattern[str]:
    """What stands beside an answer of the API."""
    if not found["truncated"]:
        return ""
    return re.compile(f"^This {answer} is cut short")


def test_an_answer_that_is_cut_short_says_so(page_of_summaries: Page, summarizer: str) -> None:
    page = page_of_summaries
    page.get_by_label("To", exact=True).select_option("Brazilian Portuguese")
    remarks = page.locator("#remarks")
    assert remarks.get_attribute("role") == "status"
    assert page.locator("#output").get_attribute("aria-describedby") == "remarks"
    seen = set()
    for text in (TEXT, "man sieht Mann Mann das!", "sieht 10 the 10 Haus man auf"):
        translate(page, text)
        found = answer_of(summarizer, text)
        expect(remarks).to_have_text(remark_on(found))
        buttons = page.locator("#alternatives-list button")
        for place, each in enumerate([found, *found["alternatives"]]):
            seen.add((place, each["truncated"]))
            buttons.nth(place).click()
            expect(remarks).to_have_text(remark_on(each))
            expect(buttons.nth(place).locator(".cut")).to_have_count(int(each["truncated"]))
    assert seen == {(0, True), (0, False), (1, True), (1, False)}


def test_a_remark_on_one_answer_does_not_stay_for_the_next(page: Page) -> None:
    translate(page)
    expect(page.locator("#remarks p")).to_have_count(1)
    page.evaluate(
        """() => {
            window.seen = [];
            const output = document.getElementById("output");
            const remarks = document.getElementById("remarks");
            const note = () => window.seen.push([output.className, remarks.textContent]);
            new MutationObserver(note).observe(output, { childList: true });
        }"""
    )
    page.locator("#source").fill(f"{TEXT}\n" * 20)
    settled(page)
    expect(page.locator("#remarks p")).to_have_count(1)
    partial = [told for name, told in page.evaluate("window.seen") if "partial" in name]
    assert partial and set(partial) == {""}
    page.locator("#clear").click()
    expect(page.locator("#output")).to_have_text("")
    expect(page.locator("#remarks")).to_have_text("")


def test_sentences_are_cut_as_is_chosen(page: Page) -> None:
    translate(page)
    page.locator("#options > summary").click()
    chooser = page.get_by_label("Sentences")
    expect(chooser).to_have_value("auto")

    def sent(change: Callable[[], object]) -> object:
        with page.expect_request("**/v1/translate") as request:
            change()
        settled(page)
        return json.loads(request.value.post_data or "")["options"].get("split_sentences")

    assert sent(lambda: chooser.select_option("never")) == "never"
    assert sent(lambda: chooser.select_option("always")) == "always"
    assert sent(lambda: chooser.select_option("auto")) is None
    assert sent(lambda: chooser.select_option("never")) == "never"
    assert sent(lambda: page.get_by_role("button", name="Back to the model").click()) is None
    expect(chooser).to_have_value("auto")


# Summaries


def summary_of(url: str, text: str, **more: object) -> dict[str, Any]:
    options = {"beam_size": 2, "n_best": 2}
    body = {"text": text, "model": "page-short", "options": options, **more}
    found: dict[str, Any] = httpx.post(f"{url}/v1/summarize", json=body, timeout=PATIENCE_S).json()
    return dict(found["summaries"][0])


def test_a_summarizer_works_at_once(
    page_of_summaries: Page, summarizer: str, complaints: list[str]
) -> None:
    page = page_of_summaries
    expect(page.locator("#target-name")).to_have_text("Summary")
    expect(page.locator("#output")).to_have_attribute("aria-label", re.compile("^Summary"))
    expect(page.locator("#output")).to_have_attribute("data-empty", "The summary appears here")
    with page.expect_request("**/v1/summarize") as request:
        translate(page, "der Hund läuft.\ndie Frau schläft.")
    assert "on_long" not in json.loads(request.value.post_data or "")
    expected = summary_of(summarizer, "der Hund läuft.\ndie Frau schläft.")
    assert page.locator("#output").inner_text() == expected["summary"]
    expect(page.locator("#remarks")).to_have_text(remark_on(expected, "summary"))
    page.locator("#options > summary").click()
    expect(page.get_by_label("Summaries")).to_be_visible()
    expect(page.get_by_label("Sentences")).to_be_hidden()
    assert complaints == []


def test_the_beginning_of_a_long_text_is_read_if_that_is_wanted(
    page_of_summaries: Page, summarizer: str
) -> None:
    page = page_of_summaries
    page.locator("#source").fill(TOO_LONG)
    expect(page.locator("#notice-text")).to_contain_text(
        re.compile(r"too long to be read whole: it has \d+ pieces, and the model reads 24\.")
    )
    expect(page.locator("#output")).to_have_text("")
    page.get_by_role("button", name="Summarize the first part").click()
    settled(page)
    expect(page.locator("#notice")).to_be_hidden()
    expected = summary_of(summarizer, TOO_LONG, on_long="cut")
    assert page.locator("#output").inner_text() == expected["summary"]
    read = f"Only the first {expected['truncated_source']} pieces of the text were read"
    for place in range(2):  # it holds for every summary of the text
        page.locator("#alternatives-list button").nth(place).click()
        expect(page.locator("#remarks")).to_contain_text(read)
    with page.expect_request("**/v1/summarize") as request:  # nobody is asked twice
        page.locator("#source").fill(TOO_LONG + "rot")
    assert json.loads(request.value.post_data or "")["on_long"] == "cut"
    settled(page)
    page.locator("#clear").click()
    expect(page.locator("#remarks")).to_have_text("")
    page.locator("#source").fill(TOO_LONG)  # another text
    expect(page.get_by_role("button", name="Summarize the first part")).to_be_visible()
