"""Models and languages on the page, the model's card, and what survives a reload."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.service.api.routes.browsing import (
    NEEDS_BROWSER,
    TEXT,
    TOO_LONG,
    opened,
    settled,
    translate,
    wait_until_ready,
)

pytestmark = NEEDS_BROWSER

CARD = """\
# German to English

A *small* model, see [its data](https://example.org/data) or <https://example.org/more>.

- License of the data: **CC BY 4.0**
- Attribution: `corpus` by <b>somebody</b>
  - nested
- [a trap](javascript:alert(1))

## Scores

| test | BLEU |
|------|------|
| dev  | 41.5 |

1. first
2. second

> A quotation

```
<script>alert(2)</script>
```

<img src=x onerror=alert(3)>
"""


class Server(Protocol):
    url: str


Serve = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="module")
def several(serve: Serve, make_run: Callable[..., Path]) -> Iterator[str]:
    """A server of five runs: both directions of a pair, a further target, a twin, a summarizer."""
    runs = [
        make_run("many-de-en", source_language="de", target_language="en", card=CARD),
        make_run("many-en-de", source_language="en", target_language="de"),
        make_run("many-de-fr", source_language="de", target_language="fr"),
        make_run("many-de-fr-2", source_language="de", target_language="fr"),
        make_run("many-short", task="summarize", source_language="de", target_language="de"),
    ]
    with serve(*runs) as server:
        yield wait_until_ready(server.url)


@pytest.fixture
def many(browser: Browser, several: str, complaints: list[str]) -> Iterator[Page]:
    """The page of that server."""
    with opened(browser, several, complaints) as page:
        yield page


def options_of(page: Page, label: str) -> list[str]:
    return page.get_by_label(label, exact=True).locator("option").all_inner_texts()


def model_of_next_request(page: Page, text: str) -> str:
    with page.expect_request(re.compile("/v1/(translate|summarize)")) as request:
        translate(page, text)
    return str(json.loads(request.value.post_data or "")["model"])


def test_the_targets_are_those_of_the_source(many: Page) -> None:
    page = many
    assert options_of(page, "From") == ["German", "English"]
    assert options_of(page, "To") == ["English", "French", "Summary"]
    expect(page.get_by_label("Model", exact=True)).to_be_hidden()
    assert model_of_next_request(page, TEXT) == "many-de-en"
    page.get_by_label("From", exact=True).select_option("English")
    assert options_of(page, "To") == ["German"]
    expect(page.get_by_label("To", exact=True)).to_be_disabled()
    assert model_of_next_request(page, f"{TEXT}!") == "many-en-de"
    page.get_by_label("From", exact=True).select_option("German")
    expect(page.get_by_label("To", exact=True)).to_have_value("translate en")  # back again


def test_one_of_several_models_for_the_same_languages_can_be_chosen(many: Page) -> None:
    page = many
    page.get_by_label("To", exact=True).select_option("French")
    assert options_of(page, "Model") == ["many-de-fr", "many-de-fr-2"]
    assert model_of_next_request(page, TEXT) == "many-de-fr"
    page.get_by_label("Model", exact=True).select_option("many-de-fr-2")
    assert model_of_next_request(page, f"{TEXT}!") == "many-de-fr-2"


def test_swapping_turns_the_translation_into_the_text(many: Page) -> None:
    page = many
    translate(page)
    translation = page.locator("#output").inner_text()
    swap = page.get_by_role("button", name=re.compile("^Swap"))
    with page.expect_request("**/v1/translate") as request:
        swap.click()
    sent = json.loads(request.value.post_data or "")
    assert (sent["model"], sent["text"]) == ("many-en-de", translation)
    settled(page)
    expect(page.locator("#source")).to_have_value(translation)
    expect(page.locator("#source-name")).to_have_text("English")
    expect(page.locator("#target-name")).to_have_text("German")


def test_swapping_is_off_and_says_why_where_nothing_goes_back(many: Page) -> None:
    page = many
    swap = page.locator("#swap")
    for target, why in (
        ("French", "No model here translates from French to German"),
        ("Summary", "A summary cannot be turned back into its text"),
    ):
        page.get_by_label("To", exact=True).select_option(target)
        expect(swap).to_be_disabled()
        expect(swap).to_have_attribute("title", why)
        swap.focus()
        expect(swap).to_be_focused()  # so that the reason is also told by keyboard
        page.keyboard.press("Enter")
        expect(page.locator("#target-name")).to_have_text(target)
    page.get_by_label("To", exact=True).select_option("English")
    expect(swap).to_be_enabled()


def test_the_languages_of_a_single_model_are_text(
    browser: Browser, serve: Serve, make_run: Callable[..., Path], complaints: list[str]
) -> None:
    run = make_run("only-de-pt", source_language="de", target_language="pt-BR")
    with serve(run) as server, opened(browser, wait_until_ready(server.url), complaints) as page:
        expect(page.locator("#fixed")).to_have_text("German \u2192 Brazilian Portuguese")
        expect(page.locator("#languages")).to_be_hidden()
        assert complaints == []


def test_languages_are_called_by_their_names(page_of_summaries: Page) -> None:
    page = page_of_summaries
    assert options_of(page, "From") == ["German"]
    assert options_of(page, "To") == ["Summary", "Brazilian Portuguese"]
    page.get_by_label("To", exact=True).select_option("Brazilian Portuguese")
    expect(page.locator("#source-name")).to_have_text("German")
    expect(page.locator("#target-name")).to_have_text("Brazilian Portuguese")
    assert page.locator("#source").get_attribute("lang") == "de"
    assert page.locator("#output").get_attribute("lang") == "pt-BR"
    assert model_of_next_request(page, TOO_LONG) == "page-de-pt"  # it is cut, not refused
    page.locator("#options > summary").click()
    expect(page.get_by_label("Sentences")).to_be_visible()


# The card


def test_the_card_is_rendered_and_nothing_in_it_runs(many: Page, complaints: list[str]) -> None:
    page = many
    page.locator("#about > summary").click()
    facts = page.locator("#about-facts")
    expect(facts).to_contain_text("many-de-en")
    expect(facts).to_contain_text("German \u2192 English")
    card = page.locator("#about-card")
    expect(card.get_by_role("heading", level=3)).to_have_text("German to English")
    expect(card.get_by_role("heading", level=4)).to_have_text("Scores")
    expect(card.locator("> ul > li")).to_have_count(3)
    expect(card.locator("ul ul li")).to_have_text("nested")
    expect(card.locator("ol li")).to_have_text(["first", "second"])
    expect(card.locator("strong")).to_have_text("CC BY 4.0")
    expect(card.locator("em")).to_have_text("small")
    expect(card.locator("blockquote")).to_have_text("A quotation")
    expect(card.locator("th")).to_have_text(["test", "BLEU"])
    expect(card.locator("td")).to_have_text(["dev", "41.5"])
    links = card.locator("a")
    expect(links).to_have_text(["its data", "https://example.org/more"])
    expect(links.first).to_have_attribute("href", "https://example.org/data")
    expect(links.first).to_have_attribute("rel", "noopener noreferrer")
    for literal in (
        "<b>somebody</b>",
        "[a trap](javascript:alert(1))",
        "<script>alert(2)</script>",
        "<img src=x onerror=alert(3)>",
    ):
        expect(card).to_contain_text(literal)
    assert card.locator("b, script, img").count() == 0
    page.get_by_text("Its search options").click()
    expect(page.locator("#about-defaults")).to_contain_text("beam_size2")
    assert complaints == []


def render(page: Page, card: str) -> Locator:
    """Render a card beside the page's own, which the page may still be about to show."""
    page.evaluate(
        """async (card) => {
            const { rendered } = await import("/static/card.js");
            const place = document.createElement("div");
            place.id = "rendered";
            place.append(...rendered(card));
            document.body.append(place);
        }""",
        card,
    )
    return page.locator("#rendered")


@pytest.mark.parametrize("mark", ["`", "*", "**", "[", "[a](", "<http:", "> ", "- ", "|", "#"])
def test_no_card_keeps_the_page_busy(page: Page, mark: str) -> None:
    card = render(page, mark * 20_000 + "\n" + mark * 1000 + "\n\n" + f"{mark}x\n" * 2000)
    text = card.text_content()
    assert text is not None and text.count("x") == 2000  # it has come to the end


@pytest.mark.parametrize("end", ["\r", "\r\n", "\u2028", "\u2029"])
def test_a_line_of_a_card_ends_wherever_it_may(page: Page, end: str) -> None:
    card = render(page, f"# title{end}text{end}- one{end}- two")
    assert card.locator("h3").text_content() == "title"
    assert card.locator("p").text_content() == "text"
    assert card.locator("li").all_text_contents() == ["one", "two"]


# What survives a reload


def test_what_was_typed_and_chosen_survives_a_reload(many: Page) -> None:
    page = many
    page.get_by_label("To", exact=True).select_option("French")
    page.get_by_label("Model", exact=True).select_option("many-de-fr-2")
    page.locator("#options > summary").click()
    page.get_by_label("Beam").fill("7")
    page.get_by_label("Sentences").select_option("never")
    translate(page)
    with page.expect_request("**/v1/translate") as request:
        page.reload()
    sent = json.loads(request.value.post_data or "")
    assert (sent["text"], sent["model"]) == (TEXT, "many-de-fr-2")
    assert sent["options"]["beam_size"] == 7
    assert sent["options"]["split_sentences"] == "never"
    settled(page)
    expect(page.locator("#source")).to_have_value(TEXT)
    expect(page.get_by_label("To", exact=True)).to_have_value("translate fr")
    # Clear forgets the text, and the button below the options these.
    page.get_by_role("button", name="Clear").click()
    page.locator("#options > summary").click()
    page.get_by_role("button", name="Back to the model").click()
    with page.expect_response("**/v1/models"):
        page.reload()
    expect(page.get_by_label("To", exact=True)).to_have_value("translate fr")
    expect(page.locator("#source")).to_have_value("")
    page.locator("#options > summary").click()
    expect(page.get_by_label("Beam")).to_have_value("2")


def test_another_tab_knows_nothing_of_it(many: Page) -> None:
    translate(many)
    many.locator("#source").fill("ein Geheimnis")
    other = many.context.new_page()
    other.goto(many.url)
    expect(other.locator("#source")).to_have_value("")
    assert "Geheimnis" not in other.evaluate("JSON.stringify({ ...localStorage })")
