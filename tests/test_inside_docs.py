"""docs/inside-an-lstm.md: its examples are run, and give the numbers and picture that it shows."""

import base64
import io
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from model.inspect import main

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "inside-an-lstm.md").read_text(encoding="utf-8")
BLOCKS = re.findall(
    r"^```(python|sh)\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", PAGE, re.MULTILINE | re.DOTALL
)
NUMBER = re.compile(r"-?\d+\.?\d*")
LINK = "{http://www.w3.org/1999/xlink}href"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """A folder in which the page was followed, and what each block has printed."""
    folder = tmp_path_factory.mktemp("reader")
    printed, known = [], dict[str, object]()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for kind, code, _ in BLOCKS:
            output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
            with redirect_stdout(output):
                if kind == "python":
                    exec(compile(code, "example", "exec"), known)
                else:
                    command, *arguments = shlex.split(code)
                    assert command == "dragoman-inspect"
                    assert main(arguments) == 0
            output.seek(0)
            printed.append(output.read())
        yield folder, printed


def test_examples_print_what_is_shown(followed: tuple[Path, list[str]]) -> None:
    """Words are equal; numbers in their last place may differ on another machine."""
    shown = [expected for _, _, expected in BLOCKS if expected]
    assert len(shown) >= 10
    for (_, code, expected), found in zip(BLOCKS, followed[1], strict=True):
        if expected:
            assert NUMBER.sub("#", found) == NUMBER.sub("#", expected), code
            numbers = [list(map(float, NUMBER.findall(text))) for text in (found, expected)]
            assert numbers[0] == pytest.approx(numbers[1], abs=0.02, rel=0.02), code


def texts(picture: Path) -> list[str]:
    root = ElementTree.parse(picture).getroot()
    return ["".join(each.itertext()) for each in root.iter() if each.tag.endswith("}text")]


def maps(picture: Path) -> list[NDArray[np.float32]]:
    """The pixels of each heat map: one for each number."""
    root = ElementTree.parse(picture).getroot()
    images = [each.get(LINK, "") for each in root.iter() if each.tag.endswith("}image")]
    parts = [image.partition(",")[2] for image in images]
    return [imread(io.BytesIO(base64.b64decode(part)))[..., :3] for part in parts]


def test_the_picture_is_what_the_command_draws(followed: tuple[Path, list[str]]) -> None:
    links = re.findall(r"!\[.*?\]\((pictures/(.+?))\)", PAGE)
    assert links
    for path, name in links:
        kept, made = DOCS / path, followed[0] / name
        assert kept.stat().st_size < 100_000
        assert [NUMBER.sub("#", text) for text in texts(made)] == [
            NUMBER.sub("#", text) for text in texts(kept)
        ]
        assert len(maps(kept)) == 6 * 6 + 1  # values of each layer and direction, and the attention
        for found, expected in zip(maps(made), maps(kept), strict=True):
            assert found.shape == expected.shape
            assert np.abs(found - expected).mean() < 0.02


@pytest.mark.parametrize(
    "question",
    [
        "Is A one layer or one neuron?",
        "What has the same length?",
        "What is A_0, and why is there no X_0?",
        "How many steps?",
        "What are the 512?",
        "What does the second layer read?",
        "Is each gate a network?",
        "How is it unrolled?",
        "Why windows?",
    ],
)
def test_a_question_is_answered(question: str) -> None:
    assert f"\n## {question}\n" in PAGE
