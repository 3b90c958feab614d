"""A corpus of several parts, its translation, and the command."""

import io
import random
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from model.translate import main
from model.translator import Translator
from tests.model.jobs.folders import write_folder

FLAGS = ["--device", "cpu", "--precision", "fp32"]


class Result(NamedTuple):
    """How the command ended."""

    status: int
    news: list[str]

    @property
    def mistake(self) -> str:
        """The message of a run that must have failed."""
        assert self.status == 2, self.news
        assert not any(line.startswith("Traceback") for line in self.news)
        return self.news[-1].removeprefix("dragoman-translate: error: ")


Command = Callable[..., Result]


@pytest.fixture(scope="session")
def command(tiny_checkpoint: Path) -> Command:
    """Runs dragoman-translate in this process, in fp32 on the CPU unless flags say otherwise."""

    def run(*flags: str | Path) -> Result:
        errors = io.StringIO()
        threads = torch.get_num_threads()
        try:
            with redirect_stderr(errors):
                status = main([str(tiny_checkpoint), *FLAGS, *map(str, flags)])
        finally:
            torch.set_num_threads(threads)
        return Result(status, errors.getvalue().splitlines())

    return run


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """2,500 lines: three parts, the last one shorter. Most are blank, which takes no time."""
    rng = random.Random(3)
    words = ["der", "die", "Hund", "Mann", "läuft", "rot", "10", "Straße"]
    lengths = rng.choices([0, 1, 2, 3], [7, 1, 1, 1], k=2500)
    return [" ".join(rng.choices(words, k=length)) for length in lengths]


@pytest.fixture(scope="session")
def translations(texts: list[str], tiny_checkpoint: Path) -> list[str]:
    """Of each text, by the Python API, in an order of its own."""
    translator = Translator.load(tiny_checkpoint, device="cpu", precision="fp32")
    shuffled = random.Random(4).sample(range(len(texts)), len(texts))
    found = translator.translate([texts[i] for i in shuffled])
    by_number = dict(zip(shuffled, found, strict=True))
    return [by_number[i].replace("\n", " ") for i in range(len(texts))]


@pytest.fixture
def source(tmp_path: Path, texts: list[str]) -> Path:
    """The texts as a file."""
    path = tmp_path / "in.txt"
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def expected(translations: list[str]) -> bytes:
    """What becomes of `source`."""
    return ("\n".join(translations) + "\n").encode()


@pytest.fixture
def rows(tmp_path: Path, texts: list[str], translations: list[str]) -> list[tuple[int, str]]:
    """Ids and translations of the folder `in`, which is written here, by the ids."""
    table = write_folder(tmp_path / "in", texts, files=3)
    return sorted(zip(table["id"].to_pylist(), translations, strict=True))
