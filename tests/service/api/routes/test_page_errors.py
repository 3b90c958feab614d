"""Errors on the page, in a real browser: where they are, what they say, and how one goes on."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.service.api.routes.browsing import (
    NEEDS_BROWSER,
    TEXT,
    answer_of,
    in_view,
    opened,
    settled,
    translate,
    wait_until_ready,
)

pytestmark = NEEDS_BROWSER

KEY = "fest-gemauert-in-der-erden"
LONG = f"{TEXT}\n" * 150  # whose translation is higher than the window


class Server(Protocol):
    url: str


@pytest.fixture(scope="module")
def strict(
    serve: Callable[..., AbstractContextManager[Server]], tiny_checkpoint: Path
) -> Iterator[str]:
    """A server with a key that takes only short bodies."""
    limits = {"DRAGOMAN_API_KEYS": f"tests: {KEY}", "DRAGOMAN_MAX_BODY_BYTES": "2000"}
    with serve(tiny_checkpoint, **limits) as server:
        yield wait_until_ready(server.url)


@pytest.fixture
def strict_page(browser: Browser, strict: str, complaints: list[str]) -> Iterator[Page]:
    with opened(browser, strict, complaints) as page:
        yield page


def refuse(page: Page, status: int, kind: str, message: str, **headers: str) -> None:
    """Answer the next text as the server does when it refuses, which it does not do at will."""
    error = {"error": {"type": kind, "message": message}}
    page.route(
        "**/v1/translate",
        lambda route: route.fulfill(status=status, headers=headers, json=error),
        times=1,
    )


def test_a_refusal_is_counted_down_and_tried_again(page: Page, url: str) -> None:
    refuse(page, 429, "overloaded", "full", **{"Retry-After": "2"})
    page.locator("#source").fill(TEXT)
    expect(page.locator("#notice-wait")).to_have_text(re.compile(r"again in [12] s"))
    settled(page)
    expect(page.locator("#notice")).to_be_hidden()
    assert page.locator("#output").inner_text() == answer_of(url, TEXT)["translation"]


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected"),
    [
        (400, "unreadable_body", "body: not UTF-8. Send UTF-8.", "The server refused “body”: not "),
        (413, "body_too_large", "body: more than 9 bytes.", "This text is larger than the server"),
        (422, "invalid_request", "text: too long.", "The server refused the text: too long."),
        (422, "invalid_request", "No field here.", "No field here."),
        (429, "rate_limited", "slow", "This server takes only so many requests"),
        (503, "too_many_connections", "full", "The server has as much to do as it can."),
        (503, "shutting_down", "bye", "The server is about to restart."),
        (500, "internal", "oops", "The server failed at this text."),
        (504, "deadline_passed", "late", "The server did not come to this text in time."),
    ],
)
def test_each_refusal_is_told_in_words(
    page: Page, status: int, kind: str, message: str, expected: str
) -> None:
    refuse(page, status, kind, message)
    page.locator("#source").fill(TEXT)
    expect(page.get_by_role("alert").first).to_contain_text(expected)
    once_more = page.get_by_role("button", name=re.compile("^Try (again|now)$"))
    expect(once_more).to_have_count(0 if status in (400, 413, 422) else 1)
    waits = status in (429, 503)
    expect(page.locator("#notice-wait")).to_be_visible(visible=waits)


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_an_error_is_in_view_beside_a_long_text(
    browser: Browser, url: str, complaints: list[str], size: tuple[int, int]
) -> None:
    with opened(browser, url, complaints, size) as page:
        translate(page, LONG)
        ways_are_there(page)
        refuse(page, 500, "internal", "oops")
        page.locator("#source").press("End")
        page.keyboard.type("!")
        expect(page.locator("#source-notice #notice")).to_be_visible()
        assert in_view(page, "#notice")
        # And where one has scrolled away from it, here to an option.
        settled_after_retry(page)
        ways_are_there(page)
        page.locator("#options > summary").click()
        refuse(page, 500, "internal", "oops")
        page.get_by_label("Beam").fill("1")
        expect(page.locator("#notice")).to_be_visible()
        expect(page.locator("#notice")).to_be_in_viewport(ratio=1)


def ways_are_there(page: Page) -> None:
    """Wait until the request for the sentence of the cursor is over, which would be refused."""
    expect(page.locator("#alternatives-list button").first).to_be_visible()


def settled_after_retry(page: Page) -> None:
    page.get_by_role("button", name="Try again").click()
    settled(page)
    expect(page.locator("#notice")).to_be_hidden()


def test_an_error_goes_with_the_next_action(page: Page) -> None:
    refuse(page, 500, "internal", "oops")
    page.locator("#source").fill(TEXT)
    expect(page.locator("#notice")).to_be_visible()
    page.locator("#source").press("x")
    expect(page.locator("#notice")).to_be_hidden()
    assert page.locator("#notice-text").inner_text() == ""


def test_an_error_of_an_option_is_beside_the_options(page: Page) -> None:
    refuse(page, 422, "invalid_request", "options.beam_size: It should be less than 9.")
    page.locator("#source").fill(TEXT)
    expect(page.locator("#options #notice-text")).to_have_text(
        "The server refused “beam_size”: It should be less than 9."
    )
    expect(page.locator("#notice")).to_be_in_viewport(ratio=1)


def break_off(page: Page, ending: str) -> None:
    """Answer the next text with the beginning of an answer, and then only `ending`."""
    body = f'event: partial\ndata: {{"text": "the house"}}\n\n{ending}'
    headers = {"Content-Type": "text/event-stream"}
    page.route("**/v1/translate", lambda route: route.fulfill(headers=headers, body=body), times=1)


def test_what_came_of_a_broken_answer_is_kept_and_marked(page: Page, url: str) -> None:
    failure = 'event: error\ndata: {"error": {"type": "internal", "message": "oops"}}\n\n'
    for ending, expected in (
        ("", "The connection ended before the answer did."),
        (failure, "The server failed at this text."),
    ):
        break_off(page, ending)
        page.locator("#source").fill(TEXT + ending[:1])
        expect(page.locator("#target-notice #notice-text")).to_have_text(expected)
        expect(page.locator("#remarks")).to_have_text(re.compile("^This answer is incomplete"))
        assert page.locator("#output").inner_text() == "the house"
        expect(page.locator("#output")).not_to_have_class(re.compile("partial|stale"))
        expect(page.locator("#copy")).to_be_visible()
        expect(page.locator("#alternatives")).to_be_hidden()
    page.get_by_role("button", name="Try again").click()
    settled(page)
    assert page.locator("#output").inner_text() == answer_of(url, TEXT + "e")["translation"]
    expect(page.locator("#remarks")).not_to_contain_text("incomplete")
    expect(page.locator("#notice")).to_be_hidden()


def test_it_says_that_there_is_no_connection_and_goes_on(page: Page) -> None:
    page.context.set_offline(True)
    page.locator("#source").fill(TEXT)
    expect(page.locator("#notice-text")).to_contain_text("offline")
    assert page.locator("#output").inner_text() == ""
    page.context.set_offline(False)
    settled(page)
    expect(page.locator("#notice")).to_be_hidden()
    assert page.locator("#output").inner_text()


def test_it_says_that_the_server_cannot_be_reached(page: Page) -> None:
    page.route("**/v1/translate", lambda route: route.abort(), times=1)
    page.locator("#source").fill(TEXT)
    expect(page.locator("#notice-text")).to_have_text("The server cannot be reached.")
    settled_after_retry(page)


def give_key(page: Page, key: str) -> None:
    page.get_by_role("textbox", name="API key").fill(key)
    page.get_by_role("textbox", name="API key").press("Enter")


def test_a_key_is_asked_for_sent_and_forgotten(strict_page: Page) -> None:
    page = strict_page
    expect(page.locator("#notice-text")).to_have_text("This server asks for an API key.")
    page.locator("#source").fill(TEXT)
    page.get_by_role("button", name="Give a key").click()
    give_key(page, "wrong")
    expect(page.locator("#key-panel [role=alert]")).to_contain_text("does not know this key")
    expect(page.locator("#key-panel")).to_be_visible()
    give_key(page, KEY)
    settled(page)
    expect(page.locator("#key-panel")).to_be_hidden()
    expect(page.locator("#notice")).to_be_hidden()
    stored = page.evaluate(
        "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])"
    )
    assert TEXT in stored  # so this would see a key
    assert KEY not in stored
    page.reload()
    expect(page.locator("#notice-text")).to_contain_text("API key")
    expect(page.locator("#source")).to_have_value(TEXT)
    assert page.locator("#key").input_value() == ""


def test_a_text_that_is_too_large_is_told_in_words(strict_page: Page) -> None:
    page = strict_page
    page.get_by_role("button", name="Give a key").click()
    give_key(page, KEY)
    expect(page.locator("#key-panel")).to_be_hidden()
    page.locator("#source").fill(f"{TEXT} " * 100)
    expect(page.locator("#source-notice #notice-text")).to_have_text(
        "This text is larger than the server takes at once. Shorten it."
    )
    expect(page.locator("#notice-button")).to_be_hidden()
