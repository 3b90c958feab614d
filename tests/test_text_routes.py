"""One list of hard texts through every route: the same bytes come out, whoever asks."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import torch
from starlette.testclient import TestClient

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model.decoding.options import SearchOptions
from model.text.profile import TextProfile
from model.translate import main as translate
from model.translation.assemble import Translation
from model.translator import Translator
from service.app import create_app
from service.registry.model_loader import ModelLoader
from service.registry.model_registry import ModelRegistry
from service.registry.models_file import ModelEntry
from service.settings import Settings
from training.distill import main as distill
from training.evaluate import main as evaluate

TEXTS = [
    "der Hund läuft.",
    "Der Hund läuft. Der Mann schläft.",
    "Am 3. Mai läuft der Hund. Dr. Hund sieht 10 Häuser. Wer? Er!",
    "  der Hund \u00a0",
    "der\u00a0Hund\u202fläuft  unter\tder\u2009Straße",
    "Buch\u00adstabe \u200bHund\ufeff",
    "\uff11\uff10 \uff28und",
    "",
    "   ",
    "---",
    "😊",
    "1.",
    "a)",
    "00:01:02,500 --> 00:01:04,000",
    "1. Das Haus ist rot.",
    "- der Hund 👍🏽",
    "3. Mai",
    "漢字。漢字。漢字",
    "यह घर है। वह कुत्ता है।",
    "วันนี้อากาศดีมากเราไปเดินเล่นกันเถอะ" * 3,
    "die Frau sieht das Haus und " * 20,
    "xyz" * 60,
    "\u2581 der \u2581Hund",
    "e\u0301a\u0308",
]
"""Texts that are lines."""
LONG_TEXTS = [
    "der Hund läuft.\nder Mann schläft.",
    "\n\nHund\r\n\r\n  Mann\u2028Frau\n",
    "- Hund\n- Mann\n---\n1. Haus",
    "1\n00:01:02,500 --> 00:01:04,000\nder Hund\n",
    "\n".join(["Der Hund läuft. Der Mann schläft.", "", "10"] * 12),
]
"""Texts of several lines, which only some routes can be given."""

FLAGS = ["--device", "cpu", "--precision", "fp32"]
KINDS: dict[str, dict[str, Any]] = {
    "translate": {},
    "summarize": {"on_long": "cut"},
    "windows": {"on_long": "windows"},
    "best windows": {"on_long": "windows", "best_windows": 2},
    # Such texts are searched one by one: a limit in proportion would take long.
    "whole": {"on_long": "whole", "max_length_a": 0.0},
}
"""Search options of models for each task, and for each way to read what is too long."""
LOADER = ModelLoader(device=torch.device("cpu"), precision="fp32", shortlist=False, stuck_s=30.0)


@pytest.fixture(scope="module", params=KINDS)
def run(
    request: pytest.FixtureRequest, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model that knows its task, its languages and how its sources were normalised."""
    tiny = load_checkpoint(tiny_checkpoint)
    return save_checkpoint(
        tmp_path_factory.mktemp("routes"),
        1,
        config=tiny.config,
        weights=dict(tiny.network.named_parameters()),
        tokenizer=tiny.tokenizer,
        search=SearchOptions(
            **{"beam_size": 2, "max_length_a": 1.0, "max_length_b": 3, **KINDS[request.param]}
        ),
        card="",
        training_state=None,
        training_meta=None,
        profile=TextProfile(
            task="translate" if request.param == "translate" else "summarize",
            source_language="de",
            target_language="en" if request.param == "translate" else "de",
            normalization=1,
        ),
    )


@pytest.fixture(scope="module")
def checkpoint(run: Path) -> Checkpoint:
    return load_checkpoint(run)


@pytest.fixture(scope="module")
def found(run: Path) -> dict[str, Translation]:
    """What the Python API finds for each text alone."""
    translator = Translator.load(run, device="cpu", precision="fp32")
    return {text: translator.search([text])[0] for text in TEXTS + LONG_TEXTS}


@pytest.fixture(scope="module")
def expected(found: dict[str, Translation]) -> dict[str, str]:
    """The best translation of each text."""
    return {text: one.text for text, one in found.items()}


@pytest.fixture(scope="module")
def windows(checkpoint: Checkpoint, found: dict[str, Translation]) -> dict[str, Any]:
    """The windows of each text that was read in windows, as JSON has them."""
    read = {text: [w.to_json() for w in one.windows] for text, one in found.items() if one.windows}
    assert bool(read) == (checkpoint.search.on_long == "windows")
    return read


def written(
    command: Callable[[list[str]], int], *arguments: str | Path, given: bytes = b""
) -> bytes:
    """What a command writes to standard output."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(given))
    try:
        with redirect_stdout(output), redirect_stderr(io.StringIO()) as errors:
            assert command([*map(str, arguments), *FLAGS]) == 0, errors.getvalue()
    finally:
        sys.stdin = before
    buffer = output.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()


def lines(content: bytes) -> list[str]:
    assert content.endswith(b"\n")
    return content.decode().split("\n")[:-1]


def as_line(text: str) -> str:
    """A translation in a format of lines: what the model itself breaks is a space."""
    return text.replace("\r\n", " ").replace("\n", " ")


INPUT = "".join(f"{text}\n" for text in TEXTS).encode()


def test_lines_of_text(run: Path, expected: dict[str, str], tmp_path: Path) -> None:
    wanted = [as_line(expected[text]) for text in TEXTS]
    assert lines(written(translate, run, given=INPUT)) == wanted
    (tmp_path / "in.txt").write_bytes(INPUT)
    written(translate, run, "--input", tmp_path / "in.txt", "--output", tmp_path / "out.txt")
    assert lines((tmp_path / "out.txt").read_bytes()) == wanted


def test_columns(run: Path, expected: dict[str, str], tmp_path: Path) -> None:
    texts = [text for text in TEXTS if "\t" not in text]
    (tmp_path / "in.tsv").write_bytes("".join(f"{n}\t{t}\n" for n, t in enumerate(texts)).encode())
    out = tmp_path / "out.tsv"
    written(translate, run, "--input", tmp_path / "in.tsv", "--field", "2", "--output", out)
    found = [line.split("\t")[2] for line in lines(out.read_bytes())]
    assert found == [as_line(expected[text]).replace("\t", " ") for text in texts]


def test_objects(run: Path, expected: dict[str, str], windows: dict[str, Any]) -> None:
    given = "".join(json.dumps({"text": text}) + "\n" for text in expected).encode()
    found = [
        json.loads(line)
        for line in lines(written(translate, run, "--format", "jsonl", given=given))
    ]
    assert {one["text"]: one["translation"] for one in found} == expected
    assert {one["text"]: one["windows"] for one in found if "windows" in one} == windows


def test_values_of_a_table(run: Path, expected: dict[str, str], tmp_path: Path) -> None:
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": list(expected)}), source)
    written(translate, run, "--input", source, "--output", out)
    table = pyarrow.parquet.read_table(out)
    assert (
        dict(zip(*(table[name].to_pylist() for name in ("text", "translation")), strict=True))
        == expected
    )


@pytest.fixture(scope="module")
def client(checkpoint: Checkpoint) -> Iterator[TestClient]:
    registry = ModelRegistry(
        lambda: [ModelEntry(name="model", path=checkpoint.path)], LOADER.load, drain_s=30.0
    )
    with TestClient(create_app(registry, Settings())) as client:
        yield client


def test_http(
    checkpoint: Checkpoint,
    client: TestClient,
    expected: dict[str, str],
    windows: dict[str, Any],
) -> None:
    task = checkpoint.profile.task
    one, many = {
        "translate": ("translation", "translations"),
        "summarize": ("summary", "summaries"),
    }[task]
    answer = client.post(f"/v1/{task}", json={"text": list(expected)}).json()
    found = [result[one] for result in answer[many]]
    assert dict(zip(expected, found, strict=True)) == expected
    told = zip(expected, answer[many], strict=True)
    assert {text: result["windows"] for text, result in told if "windows" in result} == windows
    for text, translation in expected.items():
        stream = client.post(f"/v1/{task}", json={"text": text, "stream": True}).text
        events = [json.loads(line[6:]) for line in stream.split("\n") if line.startswith("data: ")]
        assert events[-1][many][0][one] == translation
        assert events[-1][many][0].get("windows", []) == windows.get(text, [])
        assert all(translation.startswith(event["text"]) for event in events[:-1])


def test_evaluation_and_distillation(run: Path, expected: dict[str, str], tmp_path: Path) -> None:
    wanted = [as_line(expected[text]) for text in TEXTS]
    source, out = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_bytes(INPUT)
    flags = ("--source", source, "--reference", source, "--output", out, "--bootstrap", "0")
    written(evaluate, run, *flags)
    assert lines(out.read_bytes()) == wanted
    written(distill, run, "--input", source, "--output", tmp_path / "out.tsv")
    found = [line.split("\t")[1] for line in lines((tmp_path / "out.tsv").read_bytes())]
    assert found == [text.replace("\t", " ") for text in wanted]


def test_no_route_has_a_rule_of_its_own() -> None:
    """Text is cut in `model.text.segmentation` and nowhere else."""
    root = Path(__file__).parents[1]
    cutting = ("sentencex", "sentence_ends(", "split_long(", "LINE_BREAK")
    for path in sorted([*root.glob("model/**/*.py"), *root.glob("service/**/*.py")]):
        if path.parent.name == "text":
            continue
        code = path.read_text(encoding="utf-8")
        assert not [word for word in cutting if word in code], path
