"""The examples of README, docs, `--help` and OpenAPI are sentences that the demo can translate.

Where an answer is shown, the demo gives it (slow). Those of the model in the box are its own.
"""

import ast
import importlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from model.checkpoint.manifest import FORMAT
from model.text.segmentation import list_marks
from model.text.sentences import sentence_ends
from model.text.word_places import LINE_BREAK
from model.translator import Translator
from service.api.request_bodies import ScoreRequest, TranslateRequest
from tests.demo_language import could_be_its_english, frame_of
from tests.patience import PATIENCE_S
from training.demo.demo_corpus import generate

ROOT = Path(__file__).parents[1]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
MODULES = [
    *(script.partition(":")[2].replace(".commands.", ".") for script in SCRIPTS.values()),
    "model.cli.translate_parser",
]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = {
    **{str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES},
    **{name: getattr(importlib.import_module(name), "EXAMPLE", "") for name in MODULES},
    "model.translator": importlib.import_module("model.translator").__doc__ or "",
    "training.demo": (ROOT / "training" / "demo" / "__main__.py").read_text(encoding="utf-8"),
}

# What follows a command is its answer: behind a number sign, or as the next block.
ECHO = re.compile(
    r"echo '([^']+)'\s*\| \S*dragoman-translate (?:runs/demo|\{RUN\})"
    r"(?: *# (.+)|\n```\n\n```text\n((?:.*\n)*?)```)?"
)
IN_BOX = "de-en"
ECHO_IN_BOX = re.compile(rf"echo '([^']+)'\s*\| \S*dragoman-translate {IN_BOX}(?: *# (.+))?")
BODY = re.compile(
    r"curl (?:[^'\n]|\\\n|'[^'{]*')*?(/v1/\w+)(?:[^'\n]|\\\n|'[^'{]*')*'(\{[^']*\})'\n?"
    r"(?:# (.+)|\n((?: {4}.*\n|\n)+))?"
)
PYTHON = re.compile(r"\.translate\((\[?\".*?\"\]?)(?:, \w+)?\)\)?(?:  # (.+))?")
PLACEHOLDER = "..."


class Example(NamedTuple):
    """What is asked, and the answer that is shown, if one is."""

    place: str
    asked: str
    shown: str | None


def echoes() -> Iterator[Example]:
    for place, text in SOURCES.items():
        for found in ECHO.finditer(text):
            yield Example(f"{place}: {found[1][:30]}", found[1], found[2] or found[3])


def requests() -> Iterator[tuple[str, Example]]:
    """With the route: those that the demo can answer."""
    for place, text in SOURCES.items():
        for found in BODY.finditer(text):
            in_box = json.loads(found[2]).get("model") == IN_BOX
            if found[1] not in ("/v1/summarize", "/v1/transduce") and not in_box:
                shown = (found[3] or found[4] or "").strip()
                yield found[1], Example(f"{place}: {found[2][:30]}", found[2], shown or None)


def examples_in_box() -> Iterator[Example]:
    """What the model in the box is asked, and the translation that is shown."""
    for place, text in SOURCES.items():
        for found in ECHO_IN_BOX.finditer(text):
            yield Example(place, found[1], found[2])
        for found in BODY.finditer(text):
            body, shown = json.loads(found[2]), found[3] or found[4]
            if body.get("model") == IN_BOX:
                translation = parsed(shown)["translations"][0]["translation"] if shown else None
                yield Example(place, body["text"], translation)


def python_lists() -> Iterator[Example]:
    for place, text in SOURCES.items():
        for found in PYTHON.finditer(text):
            yield Example(f"{place}: {found[1][:30]}", found[1], found[2])


def as_list(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


def all_texts() -> list[str]:
    texts = [example.asked for example in echoes()]
    for example in python_lists():
        texts += as_list(ast.literal_eval(example.asked))
    for route, example in requests():
        body = json.loads(example.asked)
        texts += as_list(body["source" if route == "/v1/score" else "text"])
    for model, key in ((TranslateRequest, "text"), (ScoreRequest, "source")):
        texts += [example[key] for example in model.model_json_schema()["examples"]]
    return texts


def sentences(text: str) -> Iterator[str]:
    """What has to be said of `text`: its sentences, without marks of lists, and emoji."""
    for line in LINE_BREAK.split(text):
        core = line.strip()
        core = core.removeprefix(list_marks(core, "de"))
        start = 0
        for end in [*sentence_ends(core, "de"), len(core)]:
            if said := re.sub(r"[^\w.,!€: -]", "", core[start:end]).strip():
                yield said
            start = end


def test_the_language_is_what_the_generator_says() -> None:
    corpus = generate(3, 2000, 300)
    for pair in corpus.train + corpus.held_out:
        frame = frame_of(pair.source)
        assert frame is not None, pair.source
        assert could_be_its_english(pair.target, frame), pair


@pytest.mark.parametrize(
    "sentence",
    [
        "Der Hund läuft.",
        "das ist weit",
        "Anna hat am 3. Mai Geburtstag.",
        "Am 32. Mai hat Anna Geburtstag.",
        "Das Brot kostet vier Euro zwanzig",
        "Das Brot kostet 4.20 Euro.",
        "Es ist halb dreizehn.",
        "Kauf bitte zwei Liter Steine!",
    ],
)
def test_the_language_is_no_more(sentence: str) -> None:
    assert frame_of(sentence) is None


def test_examples_are_found() -> None:
    assert {example.place.split(":")[0] for example in echoes()} >= {
        "README.md",
        "docs/text.md",
        "docs/translate.md",
        "model.cli.translate_parser",
        "training.demo",
    }
    routes = [route for route, _ in requests()]
    commands = len(re.findall(r"curl .*/v1/(?:translate|score|trace)", "".join(SOURCES.values())))
    in_box = [example for example in examples_in_box() if example.place == "README.md"]
    assert len(in_box) == 2  # a command and a request
    assert len(routes) == commands - 1
    assert {example.place.split(":")[0] for example in python_lists()} == {
        "README.md",
        "docs/library.md",
        "docs/tutorial.md",
        "model.translator",
    }


@pytest.mark.parametrize("text", dict.fromkeys(all_texts()))
def test_an_example_is_in_the_language_of_the_demo(text: str) -> None:
    said = list(sentences(text))
    assert said
    for sentence in said:
        assert frame_of(sentence) is not None, sentence


def test_targets_are_english_of_their_sources() -> None:
    pairs = [json.loads(each.asked) for route, each in requests() if route == "/v1/score"]
    pairs += ScoreRequest.model_json_schema()["examples"]
    assert len(pairs) >= 2
    for pair in pairs:
        frame = frame_of(pair["source"])
        assert frame is not None and could_be_its_english(pair["target"], frame), pair


def test_the_model_in_the_box_gives_the_answers_that_are_shown() -> None:
    shown = [example for example in examples_in_box() if example.shown is not None]
    assert {example.place for example in shown} >= {"README.md", "docs/packs.md"}
    translator = Translator.load(IN_BOX, device="cpu")
    for example in shown:
        assert translator.translate(example.asked) == example.shown, example.place


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of `make demo`, if it is there and of this format; else it is trained: minutes."""
    run = ROOT / "runs" / "demo"
    manifest = run / "best" / "manifest.json"
    if manifest.exists() and json.loads(manifest.read_text())["format"] == FORMAT:
        return run
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(ROOT / "configs", folder / "configs")
    for package in ("model", "training"):
        (folder / package).symlink_to(ROOT / package)
    subprocess.run([sys.executable, "-m", "training.demo"], cwd=folder, check=True)
    return folder / "runs" / "demo"


@pytest.fixture(scope="module")
def url(demo: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "service.serve", str(demo), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said = iter(server.stderr.readline, "")
        yield next(found[0] for line in said if (found := re.search(r"http://[\d.:]+", line)))
        server.terminate()
        server.stderr.read()


@pytest.mark.slow
def test_commands_give_the_answers_that_are_shown(demo: Path) -> None:
    shown = [example for example in echoes() if example.shown is not None]
    assert len(shown) >= 3
    for example in shown:
        found = subprocess.run(
            [sys.executable, "-m", "model.translate", str(demo)],
            input=example.asked,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert example.shown is not None
        assert found.rstrip("\n") == example.shown.rstrip("\n"), example.place


@pytest.mark.slow
def test_python_gives_the_answers_that_are_shown(demo: Path) -> None:
    shown = [example for example in python_lists() if example.shown is not None]
    assert shown
    translator = Translator.load(demo)
    for example in shown:
        found = translator.translate(ast.literal_eval(example.asked))
        assert str(found) == example.shown, example.place


@pytest.mark.slow
def test_the_server_gives_the_answers_that_are_shown(url: str) -> None:
    shown = [(route, each) for route, each in requests() if each.shown is not None]
    assert len(shown) >= 5
    for route, example in shown:
        answer = httpx.post(url + route, json=json.loads(example.asked), timeout=PATIENCE_S)
        assert answer.status_code == 200, (example.place, answer.text)
        assert example.shown is not None
        if example.shown.startswith("event:"):
            compare_events(example.shown, answer.text)
        else:
            compare(parsed(example.shown), answer.json(), example.place)


def parsed(shown: str) -> Any:
    """JSON as it is shown: `[...]` and `{...}` stand for whatever is there."""
    return json.loads(re.sub(r"\[\.\.\.\]|\{\.\.\.\}", '"..."', shown))


def compare(shown: Any, found: Any, place: str) -> None:
    """Texts must be equal; figures near, because another machine trains with other last bits."""
    if shown == PLACEHOLDER:
        return
    if isinstance(shown, dict):
        assert shown.keys() == found.keys(), place
        for key, value in shown.items():
            compare(value, found[key], f"{place} {key}")
    elif isinstance(shown, list):
        assert len(shown) == len(found), place
        for i, value in enumerate(shown):
            compare(value, found[i], f"{place} {i}")
    elif isinstance(shown, float):
        assert abs(shown - found) < 0.5, place
    else:
        assert shown == found, place


def compare_events(shown: str, found: str) -> None:
    """The last event must be as shown; the others are beginnings of its text."""
    *partial, done = [json.loads(data) for data in re.findall(r"^data: (.*)", found, re.MULTILINE)]
    *partial_shown, done_shown = re.findall(r"^ *data: (.*)", shown, re.MULTILINE)
    compare(parsed(done_shown), done, "stream")
    text = done["translations"][0]["translation"]
    assert partial
    for event in [*partial, *map(json.loads, partial_shown)]:
        assert text.startswith(event["text"])
