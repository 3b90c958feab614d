"""POST /v1/score: the probability of given targets."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from model.checkpoint.checkpoint import load_checkpoint
from service.app import create_app
from service.registry.model_registry import ModelRegistry
from service.settings import Settings

SCORE = "/v1/score"


@pytest.fixture(scope="module")
def client(
    tiny_checkpoint: Path, make_registry: Callable[..., ModelRegistry]
) -> Iterator[TestClient]:
    registry = make_registry(load_checkpoint(tiny_checkpoint))
    with TestClient(create_app(registry, Settings())) as client:
        yield client


def test_a_translation_has_the_probability_that_the_search_gave_it(client: TestClient) -> None:
    texts = ["der Hund läuft.", "rot"]
    body = {"text": texts, "return": ["scores", "tokens"]}
    found = client.post("/v1/translate", json=body).json()["translations"]
    targets = [each["translation"] for each in found]
    response = client.post(SCORE, json={"source": texts, "target": targets})
    assert response.status_code == 200
    for score, translation in zip(response.json()["scores"], found, strict=True):
        assert score.keys() == {"log_prob", "score", "pieces", "token_log_probs"}
        assert len(score["pieces"]) == len(score["token_log_probs"])
        if score["pieces"] == translation["pieces"] and not translation["truncated"]:
            assert score["log_prob"] == pytest.approx(translation["log_prob"], abs=1e-3)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"source": "a"}, "target: Field required."),
        ({"source": ["a", "b"], "target": ["a"]}, "body: 2 sources, but 1 targets. Give pairs."),
        ({"source": "a", "target": ["a", "b"]}, "body: 1 sources, but 2 targets."),
        ({"source": "a", "target": "a" * 10_001}, "target: a word has more than 10000"),
        ({"source": ["a"] * 257, "target": ["a"] * 257}, "source: List should have at most 256"),
        (
            {"source": "a", "target": "a", "options": {}},
            "options: unknown key. Known keys: model, ",
        ),
    ],
)
def test_a_wrong_body_is_refused(client: TestClient, body: dict[str, object], message: str) -> None:
    response = client.post(SCORE, json=body)
    assert response.status_code == 422
    assert response.json()["error"]["message"].startswith(message)


def test_no_pairs_and_no_model(client: TestClient) -> None:
    assert client.post(SCORE, json={"source": [], "target": []}).json()["scores"] == []
    response = client.post(SCORE, json={"source": "a", "target": "b", "task": "summarize"})
    assert response.status_code == 404
