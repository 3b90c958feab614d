"""docs/tutorial.md: its commands are run, one after the other, by an installed Dragoman."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.installed import ROOT, build_wheel, environment_with
from tests.patience import PATIENCE_S
from training.demo.demo_corpus import generate

PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PAIRS, MINUTES = 2000, "0.3"


class Reader(NamedTuple):
    """Where the page is followed."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        """What a command prints. It has to succeed."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    @contextmanager
    def serving(self, command: str) -> Iterator[None]:
        """Run the server while the block runs, from when it listens."""
        with subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.folder,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        ) as server:
            try:
                assert server.stderr is not None
                assert any("http://" in line for line in iter(server.stderr.readline, ""))
                yield
            finally:
                server.terminate()
                server.communicate(timeout=PATIENCE_S)
        assert server.returncode == 0


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """Someone with an installed Dragoman and two files. Other programs may use port 8000."""
    (tmp_path / "dist").mkdir()
    programs = environment_with(tmp_path / "python", str(build_wheel(tmp_path / "dist")))
    folder = tmp_path / "work"
    folder.mkdir()
    corpus = generate(1, PAIRS, 1).train
    (folder / "text.de").write_text("".join(f"{pair.source}\n" for pair in corpus), "utf-8")
    (folder / "text.en").write_text("".join(f"{pair.target}\n" for pair in corpus), "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    own = {"PATH": f"{programs}:{os.environ['PATH']}", "DRAGOMAN_PORT": port}
    return Reader(folder, kept | own)


def test_the_page_has_the_steps() -> None:
    said = "".join(text for _, text in BLOCKS)
    for word in ("dragoman-train", "dragoman-translate", "dragoman-evaluate", "dragoman-serve"):
        assert word in said
    assert [kind for kind, _ in BLOCKS].count("python") == 1


@pytest.mark.slow
def test_the_tutorial_works(reader: Reader) -> None:
    """Only the minutes and the port are others."""
    port = reader.environment["DRAGOMAN_PORT"]
    answers: list[str] = []
    served: str | None = None
    for kind, block in BLOCKS:
        text, given = re.subn(r"--minutes \d+", f"--minutes {MINUTES}", block)
        text = text.replace(":8000", f":{port}")
        assert given == ("dragoman-train" in block)
        if kind == "python":
            assert reader.run("python", "-c", text).strip()
        elif text.startswith("dragoman-serve"):
            served = text
        elif text.startswith("curl"):
            assert served is not None
            with reader.serving(served):
                answers.append(reader.run("bash", "-ec", text))
        else:
            answers.append(reader.run("bash", "-ec", text))
    held_out = (reader.folder / "test.de").read_text(encoding="utf-8").count("\n")
    assert held_out == PAIRS // 50
    assert (reader.folder / "out.en").read_text(encoding="utf-8").count("\n") == held_out
    assert (reader.folder / "runs" / "tutorial" / "report.html").exists()
    assert len(json.loads(answers[-1])["translations"]) == 2
