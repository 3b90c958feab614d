"""dragoman-translate from standard input to standard output, in this process."""

import dataclasses
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from model.decoding.options import SearchOptions
from model.translate import main
from model.translator import Translator
from tests.conftest import random_network


class Result(NamedTuple):
    """How the command ended, and what it wrote."""

    status: int
    output: bytes
    errors: list[str]

    @property
    def lines(self) -> list[str]:
        """The output without the ends of lines."""
        assert self.output.endswith(b"\n")
        return self.output.decode().split("\n")[:-1]

    @property
    def mistake(self) -> str:
        """The message of a run that must have failed."""
        assert self.status == 2
        message = self.errors[-1]
        assert message.startswith("dragoman-translate: error: ")
        assert not any(line.startswith("Traceback") for line in self.errors)
        return message.removeprefix("dragoman-translate: error: ")


@contextmanager
def standard_input(data: bytes) -> Iterator[None]:
    """`data` at standard input, under a locale that knows only ASCII."""
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(data), encoding="ascii")
    try:
        yield
    finally:
        sys.stdin = before


@pytest.fixture(scope="session")
def translate() -> Callable[..., Result]:
    """Runs the command on the CPU in fp32, given a run, its standard input and flags."""

    def run(checkpoint: Path, data: bytes | str, *flags: str) -> Result:
        given = data if isinstance(data, bytes) else data.encode()
        output, errors = io.TextIOWrapper(io.BytesIO(), encoding="ascii"), io.StringIO()
        with standard_input(given), redirect_stdout(output), redirect_stderr(errors):
            status = main([str(checkpoint), "--device", "cpu", "--precision", "fp32", *flags])
        written = output.buffer
        assert isinstance(written, io.BytesIO)
        return Result(status, written.getvalue(), errors.getvalue().splitlines())

    return run


@pytest.fixture(scope="session")
def translator(tiny_checkpoint: Path) -> Translator:
    """The Python API, on the same model."""
    return Translator.load(tiny_checkpoint, device="cpu", precision="fp32")


@pytest.fixture(scope="session")
def run_of_newlines(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says nothing but carriage returns and line feeds."""
    checkpoint = load_checkpoint(tiny_checkpoint)
    ids = {checkpoint.tokenizer.piece(id): id for id in range(checkpoint.tokenizer.vocab_size)}
    with torch.no_grad():
        checkpoint.network.output.bias[ids["<0x0A>"]] = 100.0
        checkpoint.network.output.bias[ids["<0x0D>"]] = 100.0
    return save_checkpoint(
        tmp_path_factory.mktemp("newlines"),
        1,
        config=checkpoint.config,
        weights=dict(checkpoint.network.named_parameters()),
        tokenizer=checkpoint.tokenizer,
        search=checkpoint.search,
        card="",
        training_state=None,
        training_meta=None,
    )


@pytest.fixture(scope="session")
def other_runs(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models of another size than `tiny_checkpoint`, with its tokenizer."""
    first = load_checkpoint(tiny_checkpoint)
    config = dataclasses.replace(first.config, encoder_size=6, decoder_size=12)
    runs = []
    for seed in (1, 2):
        network = random_network(config, seed=seed)
        runs.append(
            save_checkpoint(
                tmp_path_factory.mktemp("other"),
                1,
                config=config,
                weights=dict(network.named_parameters()),
                tokenizer=first.tokenizer,
                search=SearchOptions(beam_size=3),
                card="",
                training_state=None,
                training_meta=None,
            )
        )
    return runs
