"""Where an answer comes from, how long it should be and what long texts need, in a real browser."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.patience import PATIENCE_S
from tests.service.api.routes.browsing import (
    NEEDS_BROWSER,
    SENTENCES,
    TOO_LONG,
    answer_of,
    opened,
    settled,
    translate,
    until,
    wait_until_ready,
)

pytestmark = NEEDS_BROWSER

EMOJI = "\U0001f600\U0001f469\u200d\U0001f680 "
MESSY = f"{EMOJI}der\u00a0Hund \U0001f44d\U0001f3fd läuft.\r\nDie Fr\u00adau  schläft, das Haus!"
LONG = f"{EMOJI}\n" + "\n\n".join([" ".join(SENTENCES), "10 Hunde sehen die Frau."] * 90)


class Server(Protocol):
    url: str


@pytest.fixture(scope="module")
def reader(
    serve: Callable[..., AbstractContextManager[Server]], make_run: Callable[..., Path]
) -> Iterator[str]:
    """A server of a summarizer that reads long texts."""
    run = make_run("page-reader", task="summarize", source_language="de", max_length=8000)
    with serve(run) as server:
        yield wait_until_ready(server.url)


@pytest.fixture
def reading(browser: Browser, reader: str, complaints: list[str]) -> Iterator[Page]:
    with opened(browser, reader, complaints) as page:
        yield page


def sources_of(url: str, text: str) -> list[list[str]]:
    """For each word of the summary what stands at its places, by the API."""
    body = {"text": text, "options": {"beam_size": 2, "n_best": 2}, "return": ["alignment"]}
    answer = httpx.post(f"{url}/v1/summarize", json=body, timeout=PATIENCE_S)
    (found,) = answer.json()["summaries"]
    return [[text[start:end] for start, end in places] for places in found["word_sources"]]


def lit(page: Page) -> list[str]:
    texts: list[str] = page.locator("#mirror .lit").all_text_contents()
    return texts


def test_a_word_of_a_summary_lights_its_places_behind_emoji(reading: Page, reader: str) -> None:
    text = MESSY.replace("\r\n", "\n")  # as a text field has it
    translate(reading, text)
    sources = sources_of(reader, text)
    assert any(sources)
    words = reading.locator("#output .word")
    expect(words).to_have_count(len(sources))
    for i, expected in enumerate(sources):
        words.nth(i).hover()
        assert lit(reading) == expected
        assert f"← {expected[0]}" in reading.locator("#caption").inner_text()


def test_a_word_that_touches_what_is_kept_lights_its_own_characters(page: Page, url: str) -> None:
    text = "\U0001f600Hund schläft \U0001f44d unter Straße\n\U0001f680die Frau"
    translate(page, text)
    found = answer_of(url, text)["word_sources"]
    words = page.locator("#output .word")
    expect(words).to_have_count(len(found))
    assert found[0][0] == [0, 1]  # the emoji alone, and not the word that it touches
    for i, places in enumerate(found):
        words.nth(i).hover()
        assert "".join(lit(page)) == "".join(text[start:end] for start, end in places)


def test_the_text_scrolls_in_its_pane_to_where_a_word_comes_from(
    reading: Page, reader: str, complaints: list[str]
) -> None:
    translate(reading, LONG)
    sources = sources_of(reader, LONG)
    assert reading.evaluate("document.documentElement.scrollHeight") < 2000
    words = reading.locator("#output .word")
    expect(words).to_have_count(len(sources))
    assert len(sources) >= 6
    # Of so many words of the text only those that a place is in are elements.
    assert 0 < reading.locator("#mirror .word").count() < 200 < len(LONG.split())
    for ways in ("pointer", "keyboard"):
        for end in ("0", "pane.scrollHeight"):
            reading.evaluate(
                f"""() => {{
                    const pane = document.getElementById("source-sheet");
                    pane.scrollTop = {end};
                }}"""
            )
            if ways == "pointer":
                words.first.hover()
                reading.mouse.move(5, 5)
                words.last.hover()
                assert lit(reading) == sources[-1]
            else:
                words.first.focus()
                reading.keyboard.press("ArrowRight")
                reading.keyboard.press("Home")
                expect(words.first).to_be_focused()
                assert lit(reading) == sources[0]
            until(reading, lambda: any_in_view(reading))
    reading.keyboard.press("Enter")
    expect(words.first).to_have_attribute("aria-pressed", "true")
    words.last.click()  # as a tap does
    expect(words.last).to_have_attribute("aria-pressed", "true")
    assert lit(reading) == sources[-1]
    assert complaints == []


def any_in_view(page: Page) -> bool:
    found: bool = page.evaluate(
        """() => {
            const pane = document.getElementById("source-sheet").getBoundingClientRect();
            return [...document.querySelectorAll("#mirror .lit")].some((each) => {
                const { top, bottom } = each.getBoundingClientRect();
                return top >= pane.top && bottom <= pane.bottom;
            });
        }"""
    )
    return found


def test_a_huge_text_is_readable_with_its_places(reading: Page, complaints: list[str]) -> None:
    """A field of more than 100,000 characters scrolls by itself until there is an answer."""
    text = " " * 100_001 + LONG
    reading.locator("#source").fill(text)
    expect(reading.locator("#source-sheet")).to_have_class("sheet huge")
    settled(reading)
    expect(reading.locator("#source-sheet")).not_to_have_class("sheet huge")
    reading.locator("#output .word").first.hover()
    until(reading, lambda: any_in_view(reading))
    reading.locator("#source").press("Control+End")
    reading.keyboard.type("!")
    expect(reading.locator("#source-sheet")).to_have_class("sheet huge")
    settled(reading)
    assert complaints == []


def asked(page: Page, act: Callable[[], object]) -> dict[str, Any]:
    """The next request for a summary, which `act` leads to."""
    with page.expect_request("**/v1/summarize") as sent:
        act()
    found: dict[str, Any] = json.loads(sent.value.post_data or "")
    return found


def test_the_length_is_the_models_until_one_is_chosen(reading: Page) -> None:
    source, words = reading.locator("#source"), reading.locator("#length-words")
    first = asked(reading, lambda: source.fill(" ".join(SENTENCES)))
    assert not {"ratio", "min_words", "max_words"} & first["options"].keys()
    settled(reading)
    expect(words).to_have_text("the model chooses")
    slider = reading.get_by_label("From shorter to longer")
    long = asked(reading, lambda: slider.fill("12"))
    settled(reading)
    expect(words).to_have_text("about 11 words")  # of 13
    expect(reading.get_by_label("Length", exact=True).first).to_be_checked()
    assert 8 <= len(reading.locator("#output").inner_text().split()) <= 11
    short = asked(reading, lambda: slider.press("Home"))
    settled(reading)
    assert long["options"]["ratio"] > short["options"]["ratio"] > 0
    assert short["options"]["min_words"] == short["options"]["max_words"] == 0  # not the model's
    expect(words).to_have_text("about 1 word")
    assert len(reading.locator("#output").inner_text().split()) <= 1
    assert "ratio" in asked(reading, reading.reload)["options"]
    box = reading.locator("#length-chosen")
    assert "ratio" not in asked(reading, box.uncheck)["options"]


def test_only_summaries_have_a_length(page: Page) -> None:
    translate(page)
    expect(page.locator("#length")).to_be_hidden()
    page.locator("#options > summary").click()
    expect(page.get_by_label("Long texts")).to_be_hidden()


def ways_of(route: Route) -> None:
    """The description of a server that knows fewer ways with long texts, and another one."""
    schema = route.fetch().json()
    properties = schema["components"]["schemas"]["SummarizeRequest"]["properties"]
    ways = ["refuse", "cut", "by-magic"]
    properties["on_long"]["anyOf"] = [{"enum": ways, "type": "string"}, {"type": "null"}]
    route.fulfill(json=schema)


def test_a_text_that_is_too_long_has_the_ways_of_the_server(
    browser: Browser, summarizer: str, complaints: list[str]
) -> None:
    with opened(browser, summarizer, complaints) as page:
        page.route("**/openapi.json", ways_of)
        page.reload()
        page.locator("#source").fill(TOO_LONG)
        choices = page.locator("#notice-choices button")
        expect(choices).to_have_text(["Summarize the first part"])
        page.unroute("**/openapi.json")
        page.reload()
        expect(choices).to_have_text(
            ["Summarize the first part", "Summarize it in parts", "Read all of it"]
        )
        windows = [{"start": 0, "end": 9, "score": -1.0, "used": used} for used in (True, False)]
        answer = {"summary": "Hund", "truncated": False, "windows": windows}
        body = {"summaries": [answer], "model": "page-short", "digest": ""}
        page.route("**/v1/summarize", lambda route: route.fulfill(json=body), times=1)
        assert asked(page, choices.nth(1).click)["on_long"] == "windows"
        expect(page.locator("#remarks")).to_contain_text("in 2 parts, of which 1 made the summary")
        page.locator("#options > summary").click()
        way = page.get_by_label("Long texts")
        expect(way).to_have_value("windows")
        del answer["windows"]
        answer["whole_source"] = {"pieces": 2000, "attention_span": 512}
        page.route("**/v1/summarize", lambda route: route.fulfill(json=body), times=1)
        assert asked(page, lambda: way.select_option("whole"))["on_long"] == "whole"
        expect(page.locator("#remarks")).to_contain_text("All 2,000 pieces of the text were read")
        assert "on_long" not in asked(page, lambda: way.select_option("refuse"))
        expect(page.locator("#notice")).to_be_visible()


@pytest.mark.parametrize("usual", ["cut", "windows"])
def test_the_page_begins_with_the_way_of_the_model(
    browser: Browser,
    serve: Callable[..., AbstractContextManager[Server]],
    make_run: Callable[..., Path],
    complaints: list[str],
    usual: str,
) -> None:
    run = make_run(f"page-{usual}", task="summarize", source_language="de", on_long=usual)
    with serve(run) as server:
        wait_until_ready(server.url)
        with opened(browser, server.url, complaints) as page:
            page.locator("#options > summary").click()
            way = page.get_by_label("Long texts")
            expect(way).to_have_value(usual)
            assert "on_long" not in asked(page, lambda: page.locator("#source").fill(TOO_LONG))
            assert asked(page, lambda: way.select_option("refuse"))["on_long"] == "refuse"
            page.locator("#clear").click()
            expect(way).to_have_value(usual)


def in_module(page: Page, expression: str, module: str = "places") -> Any:
    return page.evaluate(
        f"async () => {{ const m = await import('/static/{module}.js'); return {expression}; }}"
    )


def test_places_count_code_points_and_strings_units(page: Page) -> None:
    text = "a\U0001f600b \U0001f680\U0001f680c"
    lists = [[[0, 1]], [[2, 3], [4, 7]], []]
    units = in_module(page, f"m.inUnits({json.dumps(text)}, {lists})")
    assert units == [[[0, 1]], [[3, 4], [5, 10]], []]
    words = "[{before: '', word: 'abcd', start: 0}, {before: ' ', word: 'ef', start: 5}]"
    found = in_module(page, f"m.divided({words}, [[1, 3], [5, 7]])")
    assert [part["word"] for part in found["parts"]] == ["a", "bc", "d", "ef"]
    assert [part["before"] for part in found["parts"]] == ["", "", "", " "]
    assert found["firsts"] == [0, 3, 4]
    parts = f"m.divided({words}, [[1, 3]]).parts"
    assert in_module(page, f"m.within({parts}, [[1, 3], [5, 7]])") == [1, 3]
    assert in_module(page, f"m.within({parts}, [])") == []


def test_no_partial_result_comes_after_the_end(page: Page) -> None:
    """Not even if a busy page was told of one before the timer for the one before could run."""
    shown = in_module(
        page,
        """await (async () => {
            const shown = [];
            const partial = new m.Partial((text) => shown.push(text));
            partial.add("one");
            partial.add("one two");
            for (const end = performance.now() + 200; performance.now() < end; );
            partial.add("one two three");
            partial.end();
            await new Promise((resolve) => setTimeout(resolve, 200));
            return shown;
        })()""",
        "partial",
    )
    assert shown == ["one", "one two three"]


def test_a_late_list_of_models_is_asked_for_once_and_the_text_translated_once(page: Page) -> None:
    held: list[Route] = []
    sent: list[str] = []
    page.route("**/v1/models", lambda route: held.append(route))
    page.on("request", lambda request: sent.append(request.url.rsplit("/", 1)[1]))
    page.reload()
    page.locator("#source").fill("der Hund")
    page.wait_for_timeout(1500)  # much longer than the page waits after typing
    assert len(held) == 1
    held[0].continue_()
    settled(page)
    assert sent.count("translate") == 1


def test_the_panes_of_a_phone_scroll_by_themselves(reading: Page) -> None:
    reading.set_viewport_size({"width": 360, "height": 740})
    translate(reading, LONG)
    assert reading.evaluate("document.documentElement.scrollWidth") == 360
    boxes = [reading.locator(f"#{name}").bounding_box() for name in ("source-sheet", "output")]
    assert boxes[0] and boxes[1]
    assert boxes[0]["height"] < 370
    assert boxes[1]["y"] > boxes[0]["y"] + boxes[0]["height"]  # one under the other
    reading.locator("#output .word").first.click()
    until(reading, lambda: any_in_view(reading))
