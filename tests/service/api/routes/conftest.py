"""A browser and servers for it, which tests of the page need."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.service.api.routes.browsing import CHROMIUM, FLAGS, opened, wait_until_ready


class Server(Protocol):
    url: str


Serve = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="module")
def url(serve: Serve, tiny_checkpoint: Path) -> Iterator[str]:
    """A server of one model that does not say its languages."""
    with serve(tiny_checkpoint) as server:
        yield wait_until_ready(server.url)


@pytest.fixture(scope="module")
def summarizer(serve: Serve, make_run: Callable[..., Path]) -> Iterator[str]:
    """A server of two runs that tell their tasks and languages, the first for summaries."""
    short = make_run("page-short", task="summarize", source_language="de", target_language="de")
    # Some of its answers end before their limit, some do not.
    other = make_run("page-de-pt", source_language="de", target_language="pt-BR", eos_bias=2.0)
    with serve(short, other) as server:
        yield wait_until_ready(server.url)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the console of `page` said: errors, and what the policy refused."""
    return []


@pytest.fixture
def page(browser: Browser, url: str, complaints: list[str]) -> Iterator[Page]:
    """The page, opened in a fresh profile."""
    with opened(browser, url, complaints) as page:
        yield page


@pytest.fixture
def page_of_summaries(browser: Browser, summarizer: str, complaints: list[str]) -> Iterator[Page]:
    """The page of the server whose first model is for summaries."""
    with opened(browser, summarizer, complaints) as page:
        yield page
