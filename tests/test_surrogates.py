"""Half a character at every door: a message of one line and status 2, or it passes; no traceback.

Python makes half of a surrogate pair of each byte of a command line that is not UTF-8, and YAML can
spell one out.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import model.bench
import model.inspect
import model.score
import model.translate
import service.serve
import training.average
import training.distill
import training.evaluate
import training.shortlist
import training.train
from model.cli.command import run_command

ROOT = Path(__file__).resolve().parent.parent

BYTE = os.fsdecode(b"x\xff")
"""As it arrives from a command line; as a path it is a file like any other."""

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "translate": model.translate.main,
    "score": model.score.main,
    "bench": model.bench.main,
    "inspect": model.inspect.main,
    "evaluate": training.evaluate.main,
    "average": training.average.main,
    "shortlist": training.shortlist.main,
    "distill": training.distill.main,
    "train": training.train.main,
    "serve": service.serve.main,
}

REFUSED = [
    f"translate {BYTE}",
    f"translate RUN --input {BYTE}",
    f"translate RUN --input a.txt --prefix {BYTE}",
    f"translate RUN --input a.txt --constraints {BYTE}",
    f"translate RUN --input a.txt --avoid a --avoid {BYTE}",
    f"translate RUN --input a.tsv --output o.tsv --field {BYTE}",
    f"translate RUN --input a.jsonl --output o.jsonl --field {BYTE}",
    f"translate RUN --device {BYTE}",
    f"translate RUN --{BYTE}",
    f"score RUN --source {BYTE} --target a.txt",
    f"bench RUN --input {BYTE}",
    f"inspect {BYTE}",
    f"evaluate --hypotheses a.txt --reference {BYTE}",
    f"average RUN {BYTE} --output o",
    f"shortlist RUN --source {BYTE} --target a.txt",
    f"distill RUN --input a.tsv --output o.tsv --source-column {BYTE}",
    f"distill RUN --input a.txt --output o.tsv --prefix {BYTE}",
    f"train {BYTE}.yaml --output o",
    f"train demo.yaml --output o data.license={BYTE}",
    f"train demo.yaml --output o {BYTE}",
    f"train demo.yaml --output o {BYTE}.a=1",
    f"train demo.yaml --output o data.{BYTE}=1",
    r'train demo.yaml --output o data.license="\ud83d"',
    r'train demo.yaml --output o data.source_language="\ud83d"',
    r'train demo.yaml --output o data.train=[{source:"\ud83d",target:"a.txt"}]',
    r'train demo.yaml --output o data.train=[{source:"a.txt",target:"a.txt",tag:"\ud83d"}]',
    r'train demo.yaml --output o search.constraints=["\ud83d"]',
    r'train demo.yaml --output o "\ud83d".a=1',
    f"serve {BYTE}",
    f"serve --models {BYTE}",
    f"serve RUN --port 0 --host {BYTE}",
    "serve --models prefix.yaml",
    "serve --models name.yaml",
    "serve --models source.yaml",
    "serve --models path.yaml",
    "serve --models key.yaml",
]

PASSED = [
    f"translate RUN{BYTE} --input {BYTE}.txt --output o{BYTE}.txt",
    f"translate RUN{BYTE} --input a.jsonl --quarantine q{BYTE} --output o.jsonl",
    f"score RUN{BYTE} --source {BYTE}.txt --target {BYTE}.txt --output o{BYTE}",
    f"inspect RUN{BYTE}",
    f"inspect RUN{BYTE} --json j{BYTE}",
    f"inspect RUN{BYTE} --json -",
    f"evaluate --hypotheses {BYTE}.txt --reference {BYTE}.txt --bootstrap 0 --json -",
    f"distill RUN{BYTE} --input {BYTE}.txt --output o{BYTE}.tsv",
]


@pytest.fixture
def folder(tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a run and files under good names and others."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "configs" / "demo.yaml", tmp_path)
    for run in ("RUN", f"RUN{BYTE}"):
        (tmp_path / run).symlink_to(tiny_checkpoint)
    for name in ("a.txt", f"{BYTE}.txt"):
        (tmp_path / name).write_text("der Hund\n", encoding="utf-8")
    (tmp_path / "a.tsv").write_text("a\tb\n", encoding="utf-8")
    lines = [{"text": "der Hund", "\ud83d": "\ude00"}, {"text": "a", "options": {"\ud83d": 1}}]
    lines += [{"text": "\ud83d"}, {"text": "a", "options": {"prefix": "\ud83d"}}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name, entry in {
        "prefix": r'{name: a, path: RUN, options: {prefix: "\ud83d"}}',
        "name": r'{name: "\ud83d", path: RUN}',
        "source": r'{name: a, path: RUN, source: "\ud83d"}',
        "path": r'{name: a, path: "\ud83d"}',
        "key": r'{name: a, path: RUN, "\ud83d": a}',
    }.items():
        (tmp_path / f"{name}.yaml").write_text(f"models:\n- {entry}\n")
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("line", REFUSED)
def test_half_a_character_is_refused(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    command, *arguments = line.split()
    assert COMMANDS[command](arguments) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith(f"dragoman-{command}: error: ")
    last.encode()


@pytest.mark.parametrize("line", PASSED)
def test_a_path_may_be_any_bytes(
    folder: Path, line: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    command, *arguments = line.split()
    assert COMMANDS[command](arguments) == 0
    output = capfdbinary.readouterr().out.decode()
    if arguments[-2:] == ["--json", "-"]:
        assert BYTE in json.dumps(json.loads(output), ensure_ascii=False)
    elif command == "inspect":
        assert f"RUN{BYTE}".encode("ascii", "backslashreplace").decode() in output or "j" in line
    assert not list(folder.glob("*.parts"))


def test_what_standard_output_cannot_say_is_spelt_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as strict:
        monkeypatch.setattr(sys, "stdout", strict)

        def command() -> int:
            print(f"{BYTE}: größer")
            return 0

        assert run_command("dragoman-test", command) == 0
    assert (tmp_path / "out").read_text() == "x\\udcff: gr\\xf6\\xdfer\n"


def test_every_command_is_tried() -> None:
    assert {line.split()[0] for line in REFUSED} == set(COMMANDS)
