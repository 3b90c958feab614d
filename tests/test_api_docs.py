"""docs/api.md: its commands are run against a real server, and its error table is complete."""

import json
import os
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import uvicorn
from starlette.testclient import TestClient

from model.checkpoint.pretrained import FOLDER
from service.api.error_responses import ROUTING, TABLE
from service.api.http_protocol import KINDS
from service.app import create_app
from service.registry.model_loader import ModelLoader
from service.registry.model_registry import ModelRegistry
from service.registry.models_file import ModelEntry
from service.settings import Settings
from tests.patience import PATIENCE_S

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
COMMANDS = [
    command.replace("\n    ", "\n").strip()
    for command in re.findall(r"^    (curl .*?)(?=\n\n|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
]
SHOWN = "http://127.0.0.1:8000"


def make_registry(run: Path, vectors: Path) -> ModelRegistry:
    entries = [
        ModelEntry(name="g2p", path=FOLDER / "g2p.dragoman"),
        ModelEntry(name="distance", path=vectors),
        ModelEntry(name="NAME", path=run, source="de", target="en"),
        ModelEntry(name="titles", path=run, source="en", target="en", task="summarize"),
    ]
    cpu = torch.device("cpu")
    loader = ModelLoader(device=cpu, precision="fp32", shortlist=False, stuck_s=30.0)
    return ModelRegistry(lambda: entries, loader.load, 30.0)


@pytest.fixture(scope="module")
def url(tiny_checkpoint: Path, vector_checkpoint: Path) -> Iterator[str]:
    app = create_app(make_registry(tiny_checkpoint, vector_checkpoint), Settings())
    config = uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_what_it_says(url: str, command: str) -> None:
    assert SHOWN in command
    arguments = shlex.split(command.replace(SHOWN, url))
    # As --json does it, for versions of curl that do not know it.
    if "--json" in arguments:
        place = arguments.index("--json")
        arguments[place : place + 1] = ["-H", "Content-Type: application/json", "--data-binary"]
    environment = {**os.environ, "no_proxy": "*"}
    arguments[1:1] = ["-sS", "--retry", "5", "--retry-connrefused"]
    output = subprocess.run(
        arguments, capture_output=True, check=True, env=environment, timeout=PATIENCE_S
    ).stdout.decode()
    if '"stream": true' in command:
        assert output.splitlines()[-3] == "event: done"
        assert json.loads(output.splitlines()[-2].removeprefix("data: "))["translations"]
    elif "ADMIN_KEY" in command:
        assert json.loads(output)["error"]["type"] == "forbidden"
    else:
        assert "error" not in json.loads(output)


def test_every_route_has_a_command(tiny_checkpoint: Path, vector_checkpoint: Path) -> None:
    app = create_app(make_registry(tiny_checkpoint, vector_checkpoint), Settings())
    paths = TestClient(app).get("/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for method in operations:
            if path.startswith("/v1/"):
                assert f"## {method.upper()} {path}\n" in PAGE
                assert any(SHOWN + path.replace("{name}", "NAME") in c for c in COMMANDS)


def test_the_error_table_is_complete() -> None:
    told = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    kinds = (*TABLE.values(), *ROUTING.values(), *KINDS)
    assert len(told) == len(set(told))
    assert {(int(status), type) for status, type in told} == {(k.status, k.type) for k in kinds}
