"""The page in a real browser, and what the API says without one, for tests of the page."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.patience import PATIENCE_S

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",  # tests also run as root, in containers
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
TEXT = "der Hund schläft unter der Straße"
SENTENCES = ["Der Hund schläft unter der Straße.", "Die Frau läuft!", "Das Haus ist rot."]
SEVERAL = f"{SENTENCES[0]} {SENTENCES[1]}\n{SENTENCES[2]}"
TOO_LONG = "der Hund läuft auf der Straße. " * 5
PATIENCE_MS = 60_000  # of a busy machine
expect.set_options(timeout=PATIENCE_MS)

NEEDS_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"),
]


def wait_until_ready(url: str) -> str:
    with httpx.Client(transport=httpx.HTTPTransport(retries=5), base_url=url) as client:
        while client.get("/readyz", timeout=PATIENCE_S).status_code == 503:
            pass
    return url


@contextmanager
def opened(
    browser: Browser, url: str, complaints: list[str], size: tuple[int, int] = (1280, 800)
) -> Iterator[Page]:
    """The page in a fresh profile; `complaints` gets what its console says."""
    viewport = {"width": size[0], "height": size[1]}
    context = browser.new_context(color_scheme="light", viewport=viewport)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    with page.expect_response("**/v1/models"):
        page.goto(url)
    yield page
    context.close()


def translate(page: Page, text: str = TEXT) -> None:
    """Fill in `text` and wait for its translation."""
    page.locator("#source").fill(text)
    settled(page)


def settled(page: Page) -> None:
    expect(page.locator("#timing")).to_have_text(re.compile(r"\d s"), timeout=PATIENCE_MS)


def answer_of(url: str, text: str, **more: object) -> dict[str, Any]:
    """What the API says of `text`, asked without a browser."""
    options = {"beam_size": 2, "n_best": 2}
    body = {"text": text, "options": options, "return": ["alignment", "scores", "tokens"], **more}
    answer = httpx.post(f"{url}/v1/translate", json=body, timeout=PATIENCE_S)
    found: dict[str, Any] = answer.json()["translations"][0]
    return found


def in_view(page: Page, selector: str) -> bool:
    """Whether all of an element is in the window."""
    box = page.locator(selector).bounding_box()
    height = page.viewport_size["height"] if page.viewport_size else 0
    return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= height


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Wait until it holds; the page's policy forbids that the page itself waits for that."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        page.wait_for_timeout(20)
