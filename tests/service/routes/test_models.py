"""GET /v1/models and POST /v1/models/{name}/reload."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from starlette.testclient import TestClient

from model.checkpoint import load_checkpoint
from service.app import create_app
from service.catalogue import Catalogue, Served
from service.errors import Unauthenticated
from service.settings import Settings
from service.worker import Worker


class Admins:
    """One key for work and one for administration."""

    def authenticate(self, authorization: str | None, /) -> str:
        if authorization not in ("Bearer user", "Bearer root"):
            raise Unauthenticated("Authorization: no good key. Send one.")
        return authorization.removeprefix("Bearer ")

    def is_admin(self, name: str, /) -> bool:
        return name == "root"


@pytest.fixture(scope="module", params=[None, Admins()])
def client(request: pytest.FixtureRequest, tiny_checkpoint: Path) -> Iterator[TestClient]:
    checkpoint = load_checkpoint(tiny_checkpoint)
    worker = Worker("tiny", checkpoint, device=torch.device("cpu"), dtype=torch.float32)
    served = Served("tiny", "translate", "de", "en", worker)
    app = create_app(Catalogue([served]), Settings(), keys=request.param)
    with TestClient(app) as client:
        client.headers["x-keys"] = "on" if request.param else "off"
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
    assert client.post(reload).status_code == 401
    response = client.post(reload, headers={"authorization": "Bearer user"})
    assert (response.status_code, response.json()["error"]["type"]) == (403, "forbidden")
    root = {"authorization": "Bearer root"}
    if client.headers["x-keys"] == "off":  # without keys nobody is one
        assert client.post(reload, headers=root).status_code == 403
        return
    assert client.post(reload, headers={"authorization": "Bearer bad"}).status_code == 401
    response = client.post("/v1/models/other/reload", headers=root)
    assert (response.status_code, response.json()["error"]["type"]) == (404, "model_not_found")
    told = client.post(reload, headers=root).json()
    assert told["model"] == "tiny"
    assert len(told["digest"]) == 64
