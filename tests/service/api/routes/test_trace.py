"""POST /v1/trace: gates and states of a sentence, and what is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr, TypeAdapter
from starlette.testclient import TestClient

from model.checkpoint.checkpoint import load_checkpoint
from model.translator import Translator
from service.api.responses import TraceResponse
from service.api.routes.trace import UNITS
from service.app import create_app
from service.registry.model_registry import ModelRegistry
from service.settings import Settings

TRACE = "/v1/trace"
TEXT = "der Hund läuft."


@pytest.fixture(scope="module")
def client(
    tiny_checkpoint: Path, make_registry: Callable[..., ModelRegistry]
) -> Iterator[TestClient]:
    registry = make_registry(load_checkpoint(tiny_checkpoint))
    with TestClient(create_app(registry, Settings())) as client:
        yield client


def test_an_answer_has_what_the_library_traces(client: TestClient, tiny_checkpoint: Path) -> None:
    response = client.post(TRACE, json={"text": TEXT})
    assert response.status_code == 200
    found = response.json()
    TypeAdapter(TraceResponse).validate_python(found, strict=True)
    library = Translator.load(tiny_checkpoint, device="cpu", precision="fp32")
    expected = library.trace(TEXT)
    assert found["translation"] == expected.translation
    assert found["target_pieces"] == list(expected.target_pieces)
    assert found["model"] == "tiny" and found["digest"]
    assert len(found["layers"]) == len(expected.trace.layers)
    for layer, known in zip(found["layers"], expected.trace.layers, strict=True):
        assert (layer["part"], layer["direction"]) == (known.part, known.direction)
        for name, values in known.values.items():
            for row, numbers in zip(layer["values"][name], values.tolist(), strict=True):
                assert row == pytest.approx(numbers[:UNITS], abs=1e-4)


def test_options_are_those_of_a_translation(client: TestClient) -> None:
    options = {"beam_size": 1, "prefix": "rot"}
    body = {"text": TEXT, "options": options}
    (expected,) = client.post("/v1/translate", json=body).json()["translations"]
    assert client.post(TRACE, json=body).json()["translation"] == expected["translation"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 422, "text: Field required."),
        ({"text": "a" * 1001}, 422, "text: 1,001 characters, but at most 1,000 can be traced"),
        ({"text": ["a"]}, 422, "text: Input should be a valid string"),
        ({"text": "..."}, 422, "text: there are no words in it. Give a sentence."),
        ({"text": "Ein Hund. Eine Frau."}, 422, "text: it is read in 2 parts, but only one can"),
        ({"text": "a", "units": 3}, 422, "units: unknown key."),
        ({"text": "a", "options": {"n_best": 16, "beam_size": 2}}, 422, "n_best"),
        ({"text": "a", "task": "summarize"}, 404, ""),
        ({"text": "a", "model": "other"}, 404, "No model has this name. There are: tiny."),
    ],
)
def test_what_cannot_be_traced_is_refused(
    client: TestClient, body: dict[str, object], status: int, message: str
) -> None:
    response = client.post(TRACE, json=body)
    assert response.status_code == status
    assert message in response.json()["error"]["message"], response.text


def test_it_needs_a_key_where_others_do(
    tiny_checkpoint: Path, make_registry: Callable[..., ModelRegistry]
) -> None:
    registry = make_registry(load_checkpoint(tiny_checkpoint))
    with TestClient(create_app(registry, Settings(api_keys=SecretStr("reader: secret")))) as client:
        assert client.post(TRACE, json={"text": TEXT}).status_code == 401
        headers = {"Authorization": "Bearer secret"}
        assert client.post(TRACE, json={"text": TEXT}, headers=headers).status_code == 200


def test_the_room_of_an_answer_is_given_back(client: TestClient) -> None:
    admission = client.app.state.admission  # type: ignore[attr-defined]
    client.post(TRACE, json={"text": TEXT})
    client.post(TRACE, json={"text": "Ein Hund. Eine Frau."})
    assert (admission.requests, admission.pieces) == (0, 0)
