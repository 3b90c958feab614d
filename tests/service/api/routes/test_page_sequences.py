"""The page for models of symbols and of vectors: links and n-best, numbers and their plot."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.patience import PATIENCE_S
from tests.service.api.routes.browsing import (
    NEEDS_BROWSER,
    TEXT,
    opened,
    translate,
    wait_until_ready,
)

pytestmark = NEEDS_BROWSER

KEY = "wer-reitet-so-spaet"
LINE = "gfedcba"
STEPS = [[1000.0, 1004.0, 996.5], [1001.0, 1002.0, 1003.0], [-1e3, 1000.0, 999.0]]

MANY = json.dumps(STEPS[:1] * 5000)  # in one line: many would take `fill` minutes


class Server(Protocol):
    url: str


Serve = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="module")
def mixed(
    serve: Serve,
    tiny_checkpoint: Path,
    symbol_checkpoint: Path,
    vector_checkpoint: Path,
    heard_checkpoint: Path,
    speaker_checkpoint: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """A server of a model of text, of symbols, of vectors, from these to text, and back."""
    names = {"words": tiny_checkpoint, "letters": symbol_checkpoint, "frames": vector_checkpoint}
    names |= {"speech": heard_checkpoint, "contour": speaker_checkpoint}
    models = [{"name": name, "path": str(path)} for name, path in names.items()]
    path = tmp_path_factory.mktemp("mixed") / "models.yaml"
    path.write_text(json.dumps({"models": models}))
    with serve("--models", path) as server:
        yield wait_until_ready(server.url)


@pytest.fixture
def three(browser: Browser, mixed: str, complaints: list[str]) -> Iterator[Page]:
    """The page of that server, which begins with text."""
    with opened(browser, mixed, complaints) as page:
        yield page


@pytest.fixture
def letters(three: Page) -> Page:
    """The page with the model of symbols chosen."""
    choose(three, "letters")
    return three


@pytest.fixture
def frames(three: Page) -> Page:
    """The page with the model of vectors chosen."""
    choose(three, "frames")
    return three


def choose(page: Page, model: str) -> None:
    page.get_by_label("From", exact=True).select_option(model)


def enter(page: Page, text: str) -> None:
    """Fill in `text` and wait for its answer."""
    page.locator("#sequence").fill(text)
    settled(page)


def settled(page: Page) -> None:
    expect(page.locator("#answer-timing")).to_have_text(re.compile(r"\d s"))


def answer_of(url: str, **body: object) -> dict[str, Any]:
    """What the API says, asked without a browser."""
    answer = httpx.post(f"{url}/v1/transduce", json=body, timeout=PATIENCE_S)
    found: dict[str, Any] = answer.json()["results"][0]
    return found


def line_of(url: str, line: str, **more: object) -> dict[str, Any]:
    options = {"beam_size": 2, "n_best": 2}
    wanted = ["scores", "tokens", "alignment"]
    return answer_of(
        url, model="letters", symbols=line, options=options, **{"return": wanted, **more}
    )


def lit(row: Locator) -> list[int]:
    """The numbers of the symbols of `row` that are lit."""
    found: list[int] = row.locator(".symbol").evaluate_all(
        "all => all.flatMap((each, i) => each.classList.contains('lit') ? [i] : [])"
    )
    return found


# Symbols


def test_a_line_of_symbols_is_answered_as_it_is_typed(
    letters: Page, mixed: str, complaints: list[str]
) -> None:
    page = letters
    page.locator("#sequence").press_sequentially(LINE, delay=5)
    settled(page)
    expected = line_of(mixed, LINE)
    assert expected["source_pieces"] == list(LINE)
    expect(page.locator("#symbols")).to_have_text(expected["symbols"])
    expect(page.locator("#source-symbols .symbol")).to_have_text(list(LINE))
    expect(page.locator("#target-symbols .symbol")).to_have_text(expected["pieces"])
    expect(page.locator("#links-all path")).to_have_count(len(expected["alignment"]))
    expect(page.locator("#answer-spoken")).to_have_text(expected["symbols"])
    expect(page.locator("#answer-remarks")).to_have_text(
        re.compile("^This answer is cut short") if expected["truncated"] else ""
    )
    expect(page.locator("#route")).to_have_text("POST /v1/transduce")
    page.locator("#sequence-clear").click()
    expect(page.locator("#symbols")).to_have_text("")
    expect(page.locator("#links-figure")).to_be_hidden()
    expect(page.locator("#alternatives")).to_be_hidden()
    expect(page.locator("#sequence")).to_be_focused()
    assert complaints == []


def test_a_symbol_shows_where_it_comes_from_and_what_became_of_it(
    letters: Page, mixed: str
) -> None:
    page = letters
    enter(page, LINE)
    found = line_of(mixed, LINE)
    alignment = found["alignment"]
    source, target = page.locator("#source-symbols"), page.locator("#target-symbols")
    for place in {0, len(alignment) - 1}:
        target.locator(".symbol").nth(place).hover()
        expect(page.locator("#links-lit path")).to_have_count(1)
        assert (lit(source), lit(target)) == ([alignment[place]], [place])
        read, written = LINE[alignment[place]], found["pieces"][place]
        expect(page.locator("#links-caption")).to_have_text(f"{written} \u2190 {read}")
    for place in range(len(LINE)):
        source.locator(".symbol").nth(place).hover()
        expect(page.locator("#links-lit path")).to_have_count(alignment.count(place))
        assert lit(target) == [j for j, i in enumerate(alignment) if i == place]
        if place not in alignment:
            expect(page.locator("#links-caption")).to_contain_text("no symbol looks mostly here")
    page.locator("#answer-name").hover()
    expect(page.locator("#sequences .lit")).to_have_count(0)


def test_links_by_keyboard_alone(letters: Page, mixed: str) -> None:
    page = letters
    enter(page, LINE)
    alignment = line_of(mixed, LINE)["alignment"]
    source, target = page.locator("#source-symbols"), page.locator("#target-symbols")
    page.locator("#answer-copy").focus()
    page.keyboard.press("Tab")
    expect(source.locator(".symbol").first).to_be_focused()
    page.keyboard.press("End")
    expect(source.locator(".symbol").last).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(source.locator(".symbol").nth(len(LINE) - 2)).to_be_focused()
    assert lit(source) == [len(LINE) - 2]
    page.keyboard.press("Tab")  # a row is one stop
    expect(target.locator(".symbol").first).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    last = target.locator(".symbol").last
    expect(last).to_have_attribute("aria-pressed", "true")
    assert (lit(source), lit(target)) == ([alignment[-1]], [len(alignment) - 1])
    page.locator("#sequence").focus()  # held, it stays
    assert lit(target) == [len(alignment) - 1]
    last.focus()
    page.keyboard.press("Escape")
    expect(target.locator("[aria-pressed=true]")).to_have_count(0)


def test_the_best_answers_have_scores_and_can_be_chosen(letters: Page, mixed: str) -> None:
    page = letters
    enter(page, LINE)
    best = line_of(mixed, LINE)
    (other,) = best["alternatives"]
    buttons = page.locator("#alternatives-list button")
    expect(buttons).to_have_count(2)
    for place, each in ((1, other), (0, best)):
        buttons.nth(place).click()
        expect(buttons.nth(place)).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#symbols")).to_have_text(each["symbols"])
        expect(page.locator("#target-symbols .symbol")).to_have_text(each["pieces"])
        expect(page.locator("#links-all path")).to_have_count(len(each["alignment"]))
        shown = buttons.nth(place).locator(".alternative-score").inner_text()
        assert f"{each['score']:.2f}" in shown.replace("\u2212", "-")
        last = len(each["alignment"]) - 1
        page.locator("#target-symbols .symbol").last.hover()
        assert lit(page.locator("#source-symbols")) == [each["alignment"][last]]


def test_the_options_of_the_search_reach_the_server(letters: Page) -> None:
    page = letters
    enter(page, LINE)
    page.locator("#options > summary").click()
    expect(page.get_by_label("Answers", exact=True)).to_be_visible()
    for name in ("Sentences", "Long texts"):
        expect(page.get_by_label(name, exact=True)).to_be_hidden()
    with page.expect_request("**/v1/transduce") as sent:
        page.get_by_label("Beam").fill("5")
    settled(page)
    asked = json.loads(sent.value.post_data or "")
    assert asked["options"] == {"beam_size": 5, "n_best": 2, "alpha": 1}
    assert (asked["model"], asked["symbols"]) == ("letters", LINE)


def test_the_attention_of_each_symbol_is_a_heat_map(letters: Page, mixed: str) -> None:
    page = letters
    enter(page, LINE)
    page.locator("#attention > summary").click()
    expect(page.locator("#heat tbody td").first).to_be_visible()
    weights = line_of(mixed, LINE, **{"return": ["attention"]})["attention"]
    expect(page.locator("#heat tbody tr")).to_have_count(len(weights))
    columns = page.locator("#heat thead th")
    assert columns.all_inner_texts()[: len(LINE)] == list(LINE)
    expect(page.locator("#heat .joined")).to_have_count(0)
    expect(page.locator("#heat-joined")).to_be_hidden()


def test_an_unknown_symbol_is_told_and_goes_with_the_next_key(letters: Page) -> None:
    page = letters
    enter(page, LINE)
    page.locator("#sequence").fill("abz")
    expect(page.locator("#sequence-notice #notice-text")).to_contain_text(
        "The server refused the symbols: symbol 3: "
    )
    expect(page.locator("#notice-button")).to_be_hidden()  # it would be refused again
    expect(page.locator("#symbols")).to_have_class(re.compile("stale"))
    page.locator("#sequence").press("Backspace")
    expect(page.locator("#notice")).to_be_hidden()
    settled(page)
    expect(page.locator("#source-symbols .symbol")).to_have_text(["a", "b"])
    expect(page.locator("#symbols")).not_to_have_class(re.compile("stale"))


def test_one_line_at_a_time_is_sent(letters: Page) -> None:
    page = letters
    enter(page, "\nabc\n")  # lines with nothing in them do not count
    expect(page.locator("#source-symbols .symbol")).to_have_text(["a", "b", "c"])
    page.locator("#sequence").fill("abc\n\nh")
    expect(page.locator("#notice-text")).to_contain_text("These are 2 lines")


def test_a_full_server_is_asked_again(letters: Page, mixed: str) -> None:
    page = letters
    error = {"error": {"type": "overloaded", "message": "full"}}

    def refuse(route: Route) -> None:
        route.fulfill(status=429, headers={"Retry-After": "2"}, json=error)

    page.route("**/v1/transduce", refuse, times=1)
    page.locator("#sequence").fill(LINE)
    expect(page.locator("#notice-wait")).to_have_text(re.compile(r"again in [12] s"))
    settled(page)
    expect(page.locator("#notice")).to_be_hidden()
    expect(page.locator("#symbols")).to_have_text(line_of(mixed, LINE)["symbols"])


# Vectors


def lines_of(steps: list[list[float]], separator: str) -> str:
    return "\n".join(separator.join(map(repr, step)) for step in steps)


PASTED = {
    "commas": lines_of(STEPS, ", "),
    "tabs": lines_of(STEPS, "\t"),
    "spaces": f"\n{lines_of(STEPS, '  ')}\n\n",
    "json": json.dumps(STEPS),
    "minus": lines_of(STEPS, ",").replace("-", "\u2212"),
}


def test_pasted_numbers_are_answered_and_stand_in_a_table(
    frames: Page, mixed: str, complaints: list[str]
) -> None:
    page = frames
    found = answer_of(mixed, model="frames", vectors=[STEPS])["vectors"]
    given = [number for step in zip(STEPS, found, strict=True) for row in step for number in row]
    head = ["Step", "Input 1", "Input 2", "Input 3", "Output 1", "Output 2"]
    for pasted in PASTED.values():
        with page.expect_request("**/v1/transduce") as sent:
            page.locator("#sequence").fill(pasted)
        settled(page)
        assert json.loads(sent.value.post_data or "") == {"model": "frames", "vectors": [STEPS]}
        expect(page.locator("#numbers-table thead th")).to_have_text(head)
        expect(page.locator("#numbers-table tbody tr")).to_have_count(3)
        cells = page.locator("#numbers-table tbody td").all_inner_texts()
        assert [number_of(cell) for cell in cells] == pytest.approx(given, rel=1e-5)
        expect(page.locator("#answer-spoken")).to_have_text("The answer is there: 3 steps.")
        page.locator("#sequence-clear").click()
        expect(page.locator("#numbers")).to_be_hidden()
        expect(page.locator("#plot .panel")).to_have_count(0)
    assert complaints == []


def number_of(shown: str) -> float:
    return float(shown.replace(",", "").replace("\u2212", "-"))


def points(line: Locator) -> list[tuple[float, float]]:
    """The points of a line of the plot."""
    told = line.get_attribute("points") or ""
    return [(float(x), float(y)) for x, y in (point.split(",") for point in told.split())]


def test_the_plot_has_a_point_for_each_number(frames: Page, mixed: str) -> None:
    page = frames
    enter(page, PASTED["commas"])
    found = answer_of(mixed, model="frames", vectors=[STEPS])["vectors"]
    for panel, rows in enumerate((STEPS, found)):
        drawing = page.locator("#plot .panel > svg").nth(panel)
        lines = drawing.locator("polyline")
        expect(lines).to_have_count(len(rows[0]))
        low, high = min(map(min, rows)), max(map(max, rows))
        for column in range(len(rows[0])):
            drawn = points(lines.nth(column))
            assert [x for x, _ in drawn] == [0, 500, 1000]
            heights = [300 * (high - row[column]) / (high - low) for row in rows]
            assert [y for _, y in drawn] == pytest.approx(heights, abs=0.01)
        ends = page.locator("#plot .panel").nth(panel).locator(".axis.values span")
        told = [number_of(text) for text in ends.all_inner_texts()]
        assert told == pytest.approx([high, low], rel=1e-5)
        assert "over 3 steps" in (drawing.get_attribute("aria-label") or "")
    drawing.hover(position={"x": 2, "y": 20})
    expect(page.locator("#plot-readout")).to_contain_text("Step 1: Output 1 ")
    colours = page.locator("#plot polyline").evaluate_all(
        "all => all.map((each) => getComputedStyle(each).stroke)"
    )
    assert len(set(colours)) == 3 and "none" not in colours


def test_a_single_step_is_a_dot_in_the_middle(frames: Page) -> None:
    page = frames
    enter(page, "1000 1000 1000")
    line = page.locator("#plot .panel > svg").first.locator(".series").first
    assert points(line) == [(500, 150), (500, 150)]
    expect(page.locator("#plot .panel").first.locator(".axis.values span")).to_have_text(["1,000"])
    expect(page.locator("#answer-spoken")).to_have_text("The answer is there: 1 step.")


def test_numbers_are_copied_with_all_their_digits(frames: Page, mixed: str) -> None:
    page = frames
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    enter(page, PASTED["json"])
    page.locator("#answer-copy").click()
    expect(page.locator("#answer-copy")).to_have_text("Copied")
    copied = str(page.evaluate("() => navigator.clipboard.readText()"))
    rows = [[float(cell) for cell in line.split(",")] for line in copied.splitlines()]
    assert rows == answer_of(mixed, model="frames", vectors=[STEPS])["vectors"]


def test_what_is_typed_ends_the_request_in_flight(frames: Page) -> None:
    page = frames
    with page.expect_request("**/v1/transduce"):
        page.locator("#sequence").fill(MANY)  # which takes a while
    expect(page.locator("#sequences")).to_have_class(re.compile("busy"))
    with page.expect_event("requestfailed"):
        page.locator("#sequence").fill(PASTED["commas"])
    settled(page)
    expect(page.locator("#numbers-table tbody tr")).to_have_count(3)
    expect(page.locator("#sequences")).not_to_have_class(re.compile("busy"))


def test_an_answer_of_another_length_is_drawn_by_itself(frames: Page) -> None:
    page = frames
    answer = {"results": [{"vectors": [[0.5], [1.5]]}], "model": "frames", "digest": ""}
    page.route("**/v1/transduce", lambda route: route.fulfill(json=answer), times=1)
    enter(page, PASTED["commas"])
    expect(page.locator("#numbers-table thead th")).to_have_text(["Step", "Output"])
    expect(page.locator("#plot .panel")).to_have_count(1)
    expect(page.locator("#plot .legend")).to_have_text("Output")


def test_a_long_answer_is_cut_in_the_table_alone(frames: Page) -> None:
    page = frames
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    vectors = [[float(step), 0.5] for step in range(5000)]
    answer = {"results": [{"vectors": vectors}], "model": "frames", "digest": ""}
    page.route("**/v1/transduce", lambda route: route.fulfill(json=answer), times=1)
    enter(page, MANY)
    expect(page.locator("#answer-remarks")).to_have_text(
        "The table has the first 4,000 of 5,000 steps; Copy copies all."
    )
    expect(page.locator("#numbers-table tbody tr")).to_have_count(4000)
    assert len(points(page.locator("#plot .panel > svg polyline").last)) == 5000
    page.locator("#answer-copy").click()
    expect(page.locator("#answer-copy")).to_have_text("Copied")
    assert len(str(page.evaluate("() => navigator.clipboard.readText()")).splitlines()) == 5000


REFUSED = [
    ("1 2 3\n\n1 2", "line 3: 2 numbers, but this model reads 3."),
    ("1,2,3\n4", "line 2: 1 number, but this model reads 3."),
    ("x,y,z\n1,2,3", "line 1: \u201cx\u201d is no number."),
    ("1,2,3\n1,,3", "line 2: a number is missing at a comma."),
    ("1 2 1e999", "line 1: 1e999 is too large."),
    ("1;2;3", "line 1: \u201c1;2;3\u201d is no number."),
    ("[[1, 2, 3], [1, 2]]", "step 2: 2 numbers, but this model reads 3."),
    ('[[1, 2, "3"]]', 'step 1: \u201c"3"\u201d is no number.'),
    ("[1, 2, 3]", "step 1: 1 number, but this model reads 3."),
    ("[[1, 2, 1e999]]", "step 1: a number is too large."),
    ("[[1, 2, 3]", "This begins like JSON but is none."),
    ("[]", "The server refused the vectors: an empty sequence"),
    ("1e300 1 1", "The server refused the vectors: "),
]


def test_what_are_not_the_numbers_of_the_model_is_told_with_its_place(frames: Page) -> None:
    page = frames
    for pasted, message in REFUSED:
        page.locator("#sequence").fill(pasted)
        expect(page.locator("#sequence-notice #notice-text")).to_contain_text(message)
        expect(page.locator("#notice-button")).to_be_hidden()
        expect(page.locator("#plot .panel")).to_have_count(0)


def test_a_column_is_enough_for_a_model_of_one_number_a_step(page: Page) -> None:
    found = page.evaluate(
        """async () => {
            const { csv, vectorsOf } = await import("/static/numbers.js");
            return [
                vectorsOf("1\\n-.5\\r\\n2e1", 1),
                vectorsOf("[1, -0.5, 20]", 1),
                csv([[1, 2], [0.1, -3]]),
            ];
        }"""
    )
    assert found == [[[1], [-0.5], [20]], [[1], [-0.5], [20]], "1,2\n0.1,-3\n"]


# Models of several kinds


def test_text_that_is_made_of_numbers_has_links_to_the_steps(
    three: Page, mixed: str, complaints: list[str]
) -> None:
    page = three
    choose(page, "speech")
    with page.expect_request("**/v1/transduce") as sent:
        enter(page, PASTED["commas"])
    wanted = ["scores", "tokens", "alignment"]
    options = json.loads(sent.value.post_data or "")["options"]
    found = answer_of(mixed, model="speech", vectors=[STEPS], options=options, **{"return": wanted})
    shown = page.locator("#symbols").evaluate("each => each.textContent")
    assert shown == found["text"]
    expect(page.locator("#source-symbols .symbol")).to_have_text(["0", "1", "2"])
    expect(page.locator("#links-all path")).to_have_count(len(found["pieces"]))
    for selector in ("#numbers", "#plot-figure"):
        expect(page.locator(selector)).to_be_hidden()
    for selector in ("#options", "#attention"):
        expect(page.locator(selector)).to_be_visible()
    choose(page, "frames")
    settled(page)  # what was pasted for its kind is there
    expect(page.locator("#symbols")).to_have_text("")
    expect(page.locator("#plot .panel")).to_have_count(2)
    assert complaints == []


def test_numbers_that_are_made_of_text_are_a_table_and_a_plot(
    three: Page, mixed: str, complaints: list[str]
) -> None:
    page = three
    choose(page, "contour")
    with page.expect_request("**/v1/transduce") as sent:
        enter(page, "abc")
    assert json.loads(sent.value.post_data or "") == {"model": "contour", "text": "abc"}
    found = answer_of(mixed, model="contour", text="abc")["vectors"]
    cells = page.locator("#numbers-table tbody td").all_inner_texts()
    given = [number for row in found for number in row]
    assert [number_of(cell) for cell in cells] == pytest.approx(given, rel=1e-5)
    expect(page.locator("#plot .panel")).to_have_count(1)
    for selector in ("#options", "#attention", "#links-figure"):
        expect(page.locator(selector)).to_be_hidden()
    assert complaints == []


def test_models_of_all_kinds_are_switched_between(
    three: Page, mixed: str, complaints: list[str]
) -> None:
    page = three
    names = page.get_by_label("From", exact=True).locator("option").all_inner_texts()
    assert names == ["Any language", "letters", "frames", "speech", "contour"]
    for_text = ["#spread", "#swap", "#to", "#inside"]
    for_search = ["#options", "#attention"]
    translate(page)
    page.locator("#attention > summary").click()
    expect(page.locator("#heat tbody td").first).to_be_visible()
    choose(page, "letters")
    for selector in for_text:
        expect(page.locator(selector)).to_be_hidden()
    expect(page.locator("#skip")).to_have_attribute("href", "#sequence")
    expect(page.locator("#alternatives")).to_be_hidden()  # those of the text are gone
    expect(page.locator("#heat tbody td")).to_have_count(0)
    enter(page, LINE)
    expect(page.locator("#alternatives-list button")).to_have_count(2)
    choose(page, "frames")
    for selector in [*for_text, *for_search, "#alternatives", "#links-figure"]:
        expect(page.locator(selector)).to_be_hidden()
    expect(page.locator("#sequence")).to_have_value("")
    enter(page, PASTED["commas"])
    expect(page.locator("#plot .panel")).to_have_count(2)
    choose(page, "letters")
    settled(page)  # what was typed for its kind is still there
    expect(page.locator("#sequence")).to_have_value(LINE)
    expect(page.locator("#symbols")).to_have_text(line_of(mixed, LINE)["symbols"])
    expect(page.locator("#plot-figure")).to_be_hidden()
    choose(page, "Any language")
    expect(page.locator("#sequences")).to_be_hidden()
    for selector in [*for_text, *for_search]:
        expect(page.locator(selector)).to_be_visible()
    expect(page.locator("#source")).to_have_value(TEXT)
    expect(page.locator("#route")).to_have_text("POST /v1/translate")
    expect(page.locator("#heat tbody td").first).to_be_visible()
    assert complaints == []


def test_what_was_typed_for_a_model_survives_a_reload(frames: Page) -> None:
    page = frames
    enter(page, PASTED["tabs"])
    page.reload()
    expect(page.locator("#sequence")).to_have_value(PASTED["tabs"])
    settled(page)
    expect(page.locator("#plot .panel")).to_have_count(2)


def test_about_this_model_says_what_it_reads_and_writes(letters: Page) -> None:
    page = letters
    page.locator("#about > summary").click()
    facts = page.locator("#about-facts")
    expect(facts).to_contain_text("Readssymbols")
    expect(facts).not_to_contain_text("Languages")
    expect(page.locator("#about-search")).to_be_visible()
    choose(page, "frames")
    expect(facts).to_contain_text("Readsvectors of 3 numbers")
    expect(facts).to_contain_text("Writesvectors")
    expect(page.locator("#about-search")).to_be_hidden()


def test_the_only_model_may_be_one_of_symbols_and_the_key_reaches_it(
    browser: Browser, serve: Serve, symbol_checkpoint: Path, complaints: list[str]
) -> None:
    keys = {"DRAGOMAN_API_KEYS": f"tests: {KEY}"}
    with (
        serve(symbol_checkpoint, **keys) as server,
        opened(browser, wait_until_ready(server.url), complaints) as page,
    ):
        page.get_by_role("button", name="Give a key").click()
        page.locator("#key").fill(KEY)
        page.locator("#key").press("Enter")
        expect(page.locator("#fixed")).to_have_text("run")
        expect(page.locator("#languages")).to_be_hidden()
        enter(page, "abc")
        expect(page.locator("#source-symbols .symbol")).to_have_text(["a", "b", "c"])


def test_the_field_of_the_first_model_has_the_focus(
    browser: Browser, serve: Serve, vector_checkpoint: Path, complaints: list[str]
) -> None:
    with (
        serve(vector_checkpoint) as server,
        opened(browser, wait_until_ready(server.url), complaints) as page,
    ):
        expect(page.locator("#sequence")).to_be_focused()
        page.keyboard.type("1000 1000 1000")
        settled(page)
        assert complaints == []


def test_it_fits_a_narrow_phone(three: Page) -> None:
    page = three
    page.set_viewport_size({"width": 320, "height": 640})
    for model, text in (("letters", "abcdefghabcd"), ("frames", lines_of(STEPS * 20, ","))):
        choose(page, model)
        enter(page, text)
        assert page.evaluate("document.documentElement.scrollWidth") == 320
    title, tools = (page.locator(each).bounding_box() for each in ("h1", ".tools"))
    assert title and tools
    assert title["x"] + title["width"] <= tools["x"]
