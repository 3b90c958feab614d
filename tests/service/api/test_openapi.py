"""OpenAPI: the description is honest, and a fuzzer that has read it finds nothing left out."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from pydantic import SecretStr
from schemathesis.config import ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.engine import from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished
from starlette.testclient import TestClient

from model.checkpoint.checkpoint import load_checkpoint
from service.api.openapi import BODIES, DESCRIPTIONS
from service.app import create_app
from service.registry.model_registry import ModelRegistry
from service.registry.models_file import ModelEntry
from service.settings import Settings

SETTINGS = Settings(max_body_bytes=100_000, admin_keys=SecretStr("root: root"))
UNCHECKED = "positive_data_acceptance"
"""The one check that cannot hold: a schema does not say that n_best is at most beam_size."""


@pytest.fixture
def app(tiny_checkpoint: Path, make_registry: Callable[..., ModelRegistry]) -> FastAPI:
    registry = make_registry(
        load_checkpoint(tiny_checkpoint),
        ModelEntry(name="long", path=tiny_checkpoint, source="de", target="en"),
        ModelEntry(name="short", path=tiny_checkpoint, source="de", target="de", task="summarize"),
    )
    return create_app(registry, SETTINGS)  # the fuzzer starts it, and keeps it to the end


def test_every_route_names_its_statuses(openapi: dict[str, Any]) -> None:
    work = {"200", "400", "401", "404", "413", "415", "422", "429", "500", "503", "504"}
    described = {
        path: set(operation["responses"])
        for path, operations in openapi["paths"].items()
        for operation in operations.values()
        if path.startswith("/v1/")
    }
    assert described == {
        "/v1/translate": work,
        "/v1/summarize": work,
        "/v1/score": work,
        "/v1/trace": work,
        "/v1/transduce": work,
        "/v1/models": {"200", "401", "429", "500", "503"},
        "/v1/models/{name}/reload": {"200", "401", "403", "404", "422", "429", "500", "503"},
    }
    assert {int(status) for statuses in described.values() for status in statuses} - {200} == set(
        DESCRIPTIONS
    )


def test_every_refusal_has_the_one_shape(openapi: dict[str, Any]) -> None:
    for path, operations in openapi["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if path.startswith("/v1/") and status != "200":
                    schema = response["content"]["application/json"]["schema"]["$ref"]
                    assert schema.endswith("/ErrorBody")
                    assert ("headers" in response) == (status in ("429", "503"))
    translate = openapi["paths"]["/v1/translate"]["post"]
    assert str(SETTINGS.max_body_bytes) in translate["responses"]["413"]["description"]
    assert "text/event-stream" in translate["responses"]["200"]["content"]


def test_every_name_in_it_leads_somewhere(openapi: dict[str, Any]) -> None:
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(openapi)))
    there = set(openapi["components"]["schemas"])
    assert named == there
    assert {body.__name__ for body in BODIES} < there


@pytest.fixture
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
    # A deadline of a millisecond passes; any other failure of ours is one.
    project.checks.not_a_server_error.expected_statuses = ["2xx", "3xx", "4xx", "504"]
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
                        message = f"{failure.title}: {failure.message[:300]}"
                        wrong.append(f"{check.name}: {request.uri} {body!r} {message}")
    return sent, wrong


def test_a_fuzzer_finds_nothing(app: FastAPI) -> None:
    sent, wrong = fuzz(app, examples=10, coverage=False)
    assert not wrong, "\n".join(wrong[:5])
    assert sent > 40
    assert TestClient(app).get("/livez").status_code == 200


@pytest.mark.slow
def test_a_fuzzer_finds_nothing_for_longer(app: FastAPI) -> None:
    _, wrong = fuzz(app, examples=50, coverage=True)
    assert not wrong, "\n".join(wrong[:5])
