"""GET /v1/models and POST /v1/models/{name}/reload."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from model.checkpoint.checkpoint import load_checkpoint
from service.app import create_app
from service.registry.model_registry import ModelRegistry
from service.settings import Settings

KEYS = Settings(api_keys=SecretStr("user: user"), admin_keys=SecretStr("root: root"))


@pytest.fixture(scope="module", params=[Settings(), KEYS])
def client(
    request: pytest.FixtureRequest,
    tiny_checkpoint: Path,
    make_registry: Callable[..., ModelRegistry],
) -> Iterator[TestClient]:
    registry = make_registry(load_checkpoint(tiny_checkpoint))
    with TestClient(create_app(registry, request.param)) as client:
        client.headers["x-keys"] = "on" if request.param is KEYS else "off"
        yield client


def test_models_are_told_with_their_cards(client: TestClient) -> None:
    (model,) = client.get("/v1/models", headers={"authorization": "Bearer user"}).json()["models"]
    assert model["name"] == "tiny"
    assert (model["task"], model["source"], model["target"]) == ("translate", "de", "en")
    assert model["card"] == "Random weights."
    assert len(model["digest"]) == 64
    assert model["options"]["beam_size"] == 2
    assert model["loaded_at"] > 1.7e9


def test_only_an_administrator_reloads(client: TestClient) -> None:
    reload = "/v1/models/tiny/reload"
    with_keys = client.headers["x-keys"] == "on"
    assert client.post(reload).status_code == (401 if with_keys else 403)
    response = client.post(reload, headers={"authorization": "Bearer user"})
    assert (response.status_code, response.json()["error"]["type"]) == (403, "forbidden")
    root = {"authorization": "Bearer root"}
    if client.headers["x-keys"] == "off":  # without keys nobody is one
        assert client.post(reload, headers=root).status_code == 403
        return
    assert client.post(reload, headers={"authorization": "Bearer bad"}).status_code == 401
    response = client.post("/v1/models/other/reload", headers=root)
    assert (response.status_code, response.json()["error"]["type"]) == (404, "model_not_found")
    answer = client.post(reload, headers=root).json()
    assert answer["model"] == "tiny"
    assert len(answer["digest"]) == 64
