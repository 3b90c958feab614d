"""Health: when a server is alive, when it is ready, and what it tells Prometheus."""

import time
from dataclasses import dataclass, field
from typing import cast

import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from service.api.routes.health import health_router
from service.engine.worker import Worker
from service.limits.admission import Admission
from service.limits.clients import client_of
from service.observability.metrics import Metrics

STUCK_S = 30


@dataclass
class Stats:
    waiting: int = 3
    waiting_pieces: int = 40
    in_use: int = 5
    slots: int = 16


@dataclass
class WatchedWorker:
    """What a worker shows of its health, as a test wants it."""

    name: str
    digest: str = "0123456789abcdef"
    warm: bool = True
    last_step: float | None = None
    """When a step was completed the last time, if there is work."""

    def alive(self, now: float) -> bool:
        return self.last_step is None or now - self.last_step < STUCK_S

    def ready(self) -> bool:
        return self.warm

    def stats(self) -> Stats:
        return Stats()


@dataclass
class Server:
    """An application of these routes, and what they look at."""

    workers: list[WatchedWorker]
    draining: bool = False
    admission: Admission = field(default_factory=lambda: Admission(1, 100))

    def client(self) -> TestClient:
        app = FastAPI()
        workers = cast("list[Worker]", self.workers)
        app.include_router(
            health_router(lambda: workers, lambda: self.draining, self.admission, Metrics())
        )
        return TestClient(app)


@pytest.fixture
def server() -> Server:
    return Server([WatchedWorker("de-en"), WatchedWorker("en-de")])


def refusal(client: TestClient, path: str) -> tuple[str, str]:
    """Type and message of a refusal, which has the one shape of all."""
    response = client.get(path)
    assert response.status_code == 503
    assert response.json().keys() == {"error"}
    error = response.json()["error"]
    assert error.keys() == {"type", "message"}
    return error["type"], error["message"]


def test_a_server_without_worries_is_alive_and_ready(server: Server) -> None:
    client = server.client()
    for path in ("/livez", "/readyz"):
        response = client.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_a_stuck_engine_is_not_alive_until_it_steps_again(server: Server) -> None:
    client = server.client()
    server.workers[1].last_step = time.monotonic() - STUCK_S
    kind, message = refusal(client, "/livez")
    assert kind == "stuck"
    assert "en-de" in message
    assert "de-en" not in message.replace("en-de", "")
    server.workers[1].last_step = time.monotonic()
    assert client.get("/livez").status_code == 200


def test_every_model_must_be_ready(server: Server) -> None:
    client = server.client()
    server.workers[0].warm = False
    kind, message = refusal(client, "/readyz")
    assert (kind, "de-en" in message) == ("not_ready", True)
    assert client.get("/livez").status_code == 200
    server.workers[0].warm = True
    assert client.get("/readyz").status_code == 200
    server.workers.clear()
    assert refusal(client, "/readyz")[0] == "not_ready"


def test_a_server_that_drains_is_alive_and_not_ready(server: Server) -> None:
    client = server.client()
    server.draining = True
    assert refusal(client, "/readyz")[0] == "shutting_down"
    assert client.get("/livez").status_code == 200


def test_a_full_queue_is_ready(server: Server) -> None:
    client = server.client()
    with server.admission.reservation(client_of("a", "")) as reservation:
        reservation.accept(70)
        assert client.get("/readyz").status_code == 200
        assert "dragoman_queue_requests 1.0\ndragoman_queue_pieces 70.0" in "\n".join(
            line for line in client.get("/metrics").text.splitlines() if line[0] != "#"
        )


def test_metrics_show_each_model_as_it_is_now(server: Server) -> None:
    client = server.client()
    server.workers[1].warm = False
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    families = {each.name: each for each in text_string_to_metric_families(response.text)}

    def by_model(name: str) -> dict[str, float]:
        return {each.labels["model"]: each.value for each in families[name].samples}

    assert by_model("dragoman_ready") == {"de-en": 1, "en-de": 0}
    assert by_model("dragoman_waiting_sentences") == {"de-en": 3, "en-de": 3}
    assert by_model("dragoman_waiting_pieces") == {"de-en": 40, "en-de": 40}
    assert by_model("dragoman_slots_in_use") == {"de-en": 5, "en-de": 5}
    assert by_model("dragoman_slots") == {"de-en": 16, "en-de": 16}
    assert families["process_resident_memory_bytes"].samples[0].value > 1e6
    # Another checkpoint takes the place of the old one: its digest is not kept.
    server.workers[0].digest = "f" * 16
    text = client.get("/metrics").text
    assert 'digest="ffffffffffffffff",model="de-en"' in text
    assert 'digest="0123456789abcdef",model="de-en"' not in text


def test_openmetrics_is_there_for_who_asks(server: Server) -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    response = server.client().get("/metrics", headers={"Accept": accept})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")
