"""OpenAPI: the description is honest. A fuzzer that has read it finds nothing that it leaves out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import torch
from fastapi import FastAPI
from schemathesis.config import ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.engine import from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished
from starlette.testclient import TestClient

from model.checkpoint import load_checkpoint
from service.app import create_app
from service.catalogue import Catalogue, Served
from service.openapi import BODIES
from service.settings import Settings
from service.worker import Worker

SETTINGS = Settings(max_body_bytes=100_000)
UNCHECKED = "positive_data_acceptance"
"""The one check that cannot hold: a schema does not say that n_best is at most beam_size."""


@pytest.fixture(scope="module")
def app(tiny_checkpoint: Path) -> Iterator[FastAPI]:
    cpu = torch.device("cpu")
    checkpoint = load_checkpoint(tiny_checkpoint)
    served = [
        Served(f"tiny-{task}", task, "de", "en", worker)
        for task in ("translate", "summarize")
        if (worker := Worker(f"tiny-{task}", checkpoint, device=cpu, dtype=torch.float32))
    ]
    app = create_app(Catalogue(served), SETTINGS)
    with TestClient(app):
        yield app


@pytest.fixture(scope="module")
def openapi(app: FastAPI) -> dict[str, Any]:
    schema: dict[str, Any] = TestClient(app).get("/openapi.json").json()
    return schema


def fuzz(app: FastAPI, examples: int, *, coverage: bool) -> tuple[int, list[str]]:
    """How many requests were sent, and what was wrong with the answers.

    Args:
        coverage: also go through the limits of the schema one by one, with texts as long as that.
    """
    project = ProjectConfig()
    project.generation.update(max_examples=examples, deterministic=True, database="none")
    project.checks.update(excluded_check_names=[UNCHECKED])
    refusals = ["400", "401", "403", "404", "413", "415", "422"]
    project.checks.negative_data_rejection.expected_statuses = refusals
    if not coverage:
        project.phases.update(phases=["examples", "fuzzing"])
    config = SchemathesisConfig(projects=ProjectsConfig(default=project), seed=1)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    sent, wrong = 0, []
    for event in from_schema(schema).execute():
        if isinstance(event, NonFatalError | FatalError):
            wrong.append(str(event)[:500])
        if isinstance(event, ScenarioFinished):
            sent += len(event.recorder.interactions)
            for case, checks in event.recorder.checks.items():
                for check in checks:
                    if check.failure_info is not None:
                        request = event.recorder.interactions[case].request
                        failure = check.failure_info.failure
                        body = (request.body or b"")[:300]
                        told = f"{failure.title}: {failure.message[:300]}"
                        wrong.append(f"{check.name}: {request.uri} {body!r} {told}")
    return sent, wrong


def test_a_fuzzer_finds_nothing(app: FastAPI) -> None:
    sent, wrong = fuzz(app, examples=10, coverage=False)
    assert not wrong, "\n".join(wrong[:5])
    assert sent > 40
    assert TestClient(app).get("/livez").status_code == 200


@pytest.mark.slow
def test_a_fuzzer_finds_nothing_for_longer(app: FastAPI) -> None:
    _, wrong = fuzz(app, examples=200, coverage=True)
    assert not wrong, "\n".join(wrong[:5])
