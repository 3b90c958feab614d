"""Flow: a request runs code of few files of the service, and a metric passes through two."""

import dataclasses
import logging
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from prometheus_client.metrics import MetricWrapperBase
from starlette.testclient import TestClient

import service
from model.checkpoint.checkpoint import load_checkpoint
from service.app import create_app
from service.observability.metrics import EngineMetrics, Metrics
from service.registry.model_registry import ModelRegistry
from service.settings import Settings

SERVICE = Path(service.__file__).resolve().parent
DECLARED = SERVICE / "observability" / "metrics.py"
METRICS = sorted(
    name
    for name, value in vars(Metrics()).items()
    if isinstance(value, MetricWrapperBase) and not name.startswith("_")
) + [field.name for field in dataclasses.fields(EngineMetrics)]


def test_one_post_runs_code_of_at_most_twenty_files(
    tiny_checkpoint: Path,
    make_registry: Callable[..., ModelRegistry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the application; the protocol, the host check and the log are around it."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # a test of the command leaves one
    app = create_app(make_registry(load_checkpoint(tiny_checkpoint)), Settings())
    called: set[str] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            called.add(frame.f_code.co_filename)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        with TestClient(app) as client:
            client.post("/v1/translate", json={"text": "der Hund."})  # routes and adapters exist
            called.clear()
            response = client.post("/v1/translate", json={"text": "der Hund läuft."})
            ran = list(called)  # before the application is closed
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert response.status_code == 200
    ours = {path.relative_to(SERVICE) for path in map(Path, ran) if SERVICE in path.parents}
    assert Path("engine/engine_loop.py") in ours  # the thread of the engine was watched, too
    assert len(ours) <= 20, sorted(map(str, ours))


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_written_by_one_file_besides_that_which_declares_it(name: str) -> None:
    use = re.compile(rf"metrics\.{name}\b")
    users = [
        path
        for path in SERVICE.rglob("*.py")
        if path != DECLARED and use.search(path.read_text(encoding="utf-8"))
    ]
    assert len(users) == 1, users
