"""Sentences and long texts on the page, in a real browser."""

import json
import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.service.api.routes.browsing import (
    NEEDS_BROWSER,
    SENTENCES,
    SEVERAL,
    TEXT,
    answer_of,
    settled,
    translate,
    until,
)

pytestmark = NEEDS_BROWSER

LONG = "\n".join([" ".join(SENTENCES * 10)] * 75)  # more than 50,000 characters


def ways(url: str, sentence: str) -> list[str]:
    """The translations of a sentence, best first, as the API has them."""
    found = answer_of(url, sentence)
    return [found["translation"], *(each["translation"] for each in found["alternatives"])]


def expect_ways(page: Page, url: str, sentence: str) -> None:
    """Expect the page to show the alternatives of this sentence."""
    expect(page.locator("#alternatives-of")).to_have_text(sentence)
    texts = page.locator("#alternatives-list .alternative-text")
    expected = ways(url, sentence)
    expect(texts).to_have_count(len(expected))
    shown = [text.removesuffix(" cut short") for text in texts.all_inner_texts()]
    assert shown == expected


def test_alternatives_are_those_of_the_sentence_of_the_cursor(page: Page, url: str) -> None:
    whole = answer_of(url, SEVERAL)["translation"]
    with page.expect_request("**/v1/translate") as sent:
        translate(page, SEVERAL)
    assert json.loads(sent.value.post_data or "")["options"]["n_best"] == 1
    assert page.locator("#output").inner_text() == whole
    expect_ways(page, url, SENTENCES[2])  # the caret is at the end
    for side in ("mirror", "output"):
        expect(page.locator(f"#{side} .sentence")).to_have_count(3)
        expect(page.locator(f"#{side} .sentence.current")).to_have_count(1)
    expect(page.locator("#mirror .current")).to_have_text(SENTENCES[2])
    page.locator("#source").press("Control+Home")
    expect_ways(page, url, SENTENCES[0])
    page.locator("#output .sentence").nth(1).locator(".word").first.click()
    expect_ways(page, url, SENTENCES[1])
    expect(page.locator("#mirror .current")).to_have_text(SENTENCES[1])
    page.keyboard.press("Home")  # by keyboard: from word to word
    expect_ways(page, url, SENTENCES[0])


def test_the_chosen_one_goes_into_the_translation(page: Page, url: str) -> None:
    translate(page, SEVERAL)
    page.locator("#source").press("Control+Home")
    expect_ways(page, url, SENTENCES[0])
    first, second, third = (ways(url, sentence) for sentence in SENTENCES)
    assert first[0] != first[1]
    page.locator("#alternatives-list button").nth(1).click()
    expect(page.locator("#output")).to_have_text(f"{first[1]} {second[0]} {third[0]}")
    assert page.locator("#output").inner_text() == f"{first[1]} {second[0]}\n{third[0]}"
    # The links of what comes after it have moved with it.
    places = answer_of(url, SENTENCES[1])["word_sources"][0]
    page.locator("#output .sentence").nth(1).locator(".word").first.hover()
    words = [SENTENCES[1][start:end] for start, end in places]
    expect(page.locator("#mirror .lit")).to_have_text(words)
    # A second sentence, and back to the first, whose choice is still marked.
    page.locator("#source").press("Control+End")
    expect_ways(page, url, SENTENCES[2])
    page.locator("#alternatives-list button").nth(1).click()
    page.locator("#source").press("Control+Home")
    pressed = page.locator("#alternatives-list button[aria-pressed=true] .alternative-text")
    expect(pressed).to_contain_text(first[1])
    expected = f"{first[1]} {second[0]}\n{third[1]}"
    assert page.locator("#output").inner_text() == expected


def test_alternatives_that_cannot_be_had_say_so(page: Page, url: str) -> None:
    translate(page, SEVERAL)
    expect_ways(page, url, SENTENCES[2])
    error = {"error": {"type": "overloaded", "message": "full"}}
    page.route("**/v1/translate", lambda route: route.fulfill(status=429, json=error), times=1)
    page.locator("#source").press("Control+Home")
    expect(page.locator("#alternatives [role=alert]")).to_contain_text("as much to do as it can")
    expect(page.locator("#output")).not_to_have_text("")
    page.locator("#alternatives-again").click()
    expect_ways(page, url, SENTENCES[0])
    expect(page.locator("#alternatives [role=alert]")).to_have_text("")


def test_the_heat_map_is_that_of_the_sentence(page: Page, url: str) -> None:
    translate(page, SEVERAL)
    page.locator("#attention > summary").click()
    rows = page.locator("#heat tbody tr")
    expect(rows).to_have_count(len(answer_of(url, SENTENCES[2])["pieces"]))
    page.locator("#source").press("Control+Home")
    expect(rows).to_have_count(len(answer_of(url, SENTENCES[0])["pieces"]))


def in_module(page: Page, expression: str) -> Any:
    return page.evaluate(
        f"async () => {{ const m = await import('/static/sentences.js'); return {expression}; }}"
    )


def test_sentences_are_paired_where_no_alignment_crosses(page: Page) -> None:
    text = "Ein Hund. Z. B. Eine Katze.\nEin Haus"
    assert in_module(page, f"m.sentencesOf({json.dumps(text)}, 'de')") == [
        [0, 2], [2, 3], [3, 4], [4, 6], [6, 8],
    ]  # fmt: skip
    sentences = "[[0, 2], [2, 4], [4, 5]]"
    for alignment, expected in (
        ([0, 1, 3, 2, 4], [([0, 2], [0, 2]), ([2, 4], [2, 4]), ([4, 5], [4, 5])]),
        ([0, 2, 1, 3, 4], [([0, 4], [0, 4]), ([4, 5], [4, 5])]),  # the first two are mixed
        ([0, 4, 4], [([0, 2], [0, 1]), ([2, 5], [1, 3])]),  # nothing came of the second
        ([0, 2], [([0, 2], [0, 1]), ([2, 5], [1, 2])]),  # nor of the last
        ([4, 0], [([0, 5], [0, 2])]),
        ([], []),
    ):
        pairs = in_module(page, f"m.paired({sentences}, {alignment})")
        assert [(pair["from"], pair["to"]) for pair in pairs] == expected


def test_a_long_text_scrolls_in_its_pane_in_small_type(page: Page) -> None:
    def shape(name: str) -> dict[str, float]:
        found: dict[str, float] = page.evaluate(
            """(name) => {
                const { scrollTop: top, scrollHeight: all, clientHeight: seen } =
                    document.getElementById(name);
                return { top, all, seen, share: top / (all - seen) };
            }""",
            name,
        )
        return found

    def size() -> list[float]:
        found: list[float] = page.evaluate(
            "['source', 'mirror', 'output'].map((id) =>"
            " parseFloat(getComputedStyle(document.getElementById(id)).fontSize))"
        )
        return found

    translate(page)
    large = size()
    translate(page, TEXT * 10)
    medium = size()
    assert len(LONG) > 50_000
    translate(page, LONG)
    small = size()
    assert all(len(set(each)) == 1 for each in (large, medium, small))
    assert large[0] > medium[0] > small[0] >= 16
    for name in ("source-sheet", "target-sheet"):
        assert shape(name)["seen"] < 800 < shape(name)["all"]
    assert page.evaluate("document.documentElement.scrollHeight") < 2000
    # What is typed at its end is in view, and so is its translation.
    page.locator("#source").press("Control+End")
    page.keyboard.type("!")
    settled(page)
    until(page, lambda: shape("source-sheet")["share"] > 0.99)

    def follows(one: str, other: str, step: int) -> None:
        before = shape(one)["top"]
        page.locator(f"#{one}").hover()
        page.mouse.wheel(0, step)
        until(page, lambda: abs(shape(one)["top"] - before) > 1000)
        until(page, lambda: abs(shape(one)["share"] - shape(other)["share"]) < 0.01)

    # The panes scroll together, whichever is scrolled.
    for one, other in (("target-sheet", "source-sheet"), ("source-sheet", "target-sheet")):
        for step in (-4000, 2500):
            follows(one, other, step)


def test_the_sentences_of_a_long_text_are_linked_as_a_whole(page: Page, url: str) -> None:
    translate(page, LONG)
    parts = page.locator("#output .sentence")
    expect(parts).to_have_count(2250)
    expect(page.locator("#output .word")).to_have_count(0)
    parts.first.click()
    expect_ways(page, url, SENTENCES[0])
    page.keyboard.press("ArrowRight")
    expect(parts.nth(1)).to_be_focused()
    expect(page.locator("#mirror .lit")).to_have_text(SENTENCES[1])
    expect_ways(page, url, SENTENCES[1])
    expect(page.locator("#caption")).to_have_text(re.compile("^$"))
