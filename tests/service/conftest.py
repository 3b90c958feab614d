"""A real server in a process of its own, which tests of several files need."""

import dataclasses
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model.checkpoint.run_directory import point
from model.decoding.options import OnLong
from model.text.profile import TextProfile
from model.text.tokenizer import EOS_ID
from service.engine.worker import Worker
from service.observability.metrics import Metrics
from service.registry.model_registry import ModelRegistry
from service.registry.models_file import ModelEntry, profile_of
from tests.patience import PATIENCE_S


class Server:
    """A process that serves, and where."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.url = ""
        self.lines: list[str] = []
        """What `await_line` has read from its standard error."""
        self._unread: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # Somebody must read, or a server that logs much would wait for room in the pipe.
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def await_line(self, part: str) -> str:
        """The next line on its standard error in which `part` stands."""
        while (line := self._unread.get(timeout=PATIENCE_S)) is not None:
            self.lines.append(line)
            if part in line:
                return line
        raise AssertionError(f"{part!r} not in {self.lines}")

    def await_exit(self) -> int:
        """The status with which it ends; everything that it wrote is in `lines`."""
        status = self.process.wait(timeout=PATIENCE_S)
        while (line := self._unread.get(timeout=PATIENCE_S)) is not None:
            self.lines.append(line)
        return status

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self._unread.put(line)
        self._unread.put(None)


Serve = Callable[..., AbstractContextManager[Server]]
"""serve(argument, ..., DRAGOMAN_X="..."): the server, which is killed at the end of the `with`."""


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Starts a server on a free port of the loopback interface, and waits until it is ready."""

    @contextmanager
    def started(*arguments: str | Path, **variables: str) -> Iterator[Server]:
        threads = str(torch.get_num_threads())
        flags = ["--port", "0", "--device", "cpu", "--precision", "fp32", "--threads", threads]
        with subprocess.Popen(
            [sys.executable, "-m", "service.serve", *map(str, arguments), *flags],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | variables,
        ) as process:
            server = Server(process)
            try:
                line = server.await_line("dragoman-serve: http://")
                server.url = line[line.index("http://") :].strip()
                yield server
            finally:
                process.kill()
                server.reader.join(PATIENCE_S)  # before the pipe that it reads is closed

    return started


MakeRun = Callable[..., Path]
"""make(name, task=..., source_language=..., target_language=...): a run with this profile. With
`eos_bias=...` its answers end so much sooner, where those of the tiny model reach their limit, and
with `max_length=...` it reads longer texts, and answers in 6 to 9 words."""


@pytest.fixture(scope="session")
def make_run(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """A function that makes a run of the tiny model whose checkpoint has a profile."""
    checkpoint = load_checkpoint(tiny_checkpoint)
    folder = tmp_path_factory.mktemp("runs")

    def make(
        name: str,
        *,
        task: str = "translate",
        source_language: str = "",
        target_language: str = "",
        eos_bias: float = 0.0,
        max_length: int = 0,
        card: str = "",
        on_long: OnLong = "refuse",
    ) -> Path:
        run = folder / name
        weights = {key: value.detach() for key, value in checkpoint.network.named_parameters()}
        weights["output.bias"] = weights["output.bias"].clone()
        weights["output.bias"][EOS_ID] += eos_bias
        profile = TextProfile(
            task=task, source_language=source_language, target_language=target_language
        )
        config = checkpoint.config
        search = dataclasses.replace(checkpoint.search, on_long=on_long)
        if max_length:
            config = dataclasses.replace(config, max_length=max_length)
            search = dataclasses.replace(
                search, max_length_a=0.0, max_length_b=32, min_words=6, max_words=9
            )
        directory = save_checkpoint(
            run,
            1,
            config=config,
            weights=weights,
            tokenizer=checkpoint.tokenizer,
            search=search,
            card=card,
            training_state=None,
            training_meta=None,
            profile=profile,
        )
        point(run, "best", directory)
        return run

    return make


MakeRegistry = Callable[..., ModelRegistry]
"""make(checkpoint): one model, tiny, German to English. make(checkpoint, entry, ...): those."""


@pytest.fixture(scope="session")
def make_registry() -> MakeRegistry:
    """A function that makes a registry whose models all have the same checkpoint."""

    def make(checkpoint: Checkpoint, *entries: ModelEntry) -> ModelRegistry:
        tiny = ModelEntry(name="tiny", path=checkpoint.path, source="de", target="en")

        def build(entry: ModelEntry, metrics: Metrics) -> Worker:
            cpu = torch.device("cpu")
            profile = profile_of(entry, checkpoint)
            return Worker(
                entry.name,
                checkpoint,
                device=cpu,
                dtype=torch.float32,
                profile=profile,
                metrics=metrics,
            )

        return ModelRegistry(lambda: entries or (tiny,), build, drain_s=30.0)

    return make
