"""Loading: what a checkpoint says of itself is what the API goes by, unless an entry says more."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from starlette.testclient import TestClient

from model.errors import CheckpointError
from service.app import create_app
from service.registry.model_loader import ModelLoader
from service.registry.model_registry import ModelRegistry
from service.registry.models_file import ModelEntry, entries_of_runs, read_models_file
from service.settings import Settings
from tests.hostile_checkpoints import ATTACKS, copy_of_the_valid_one

TEXT = "der Hund läuft."


@contextmanager
def serving(entries: Sequence[ModelEntry]) -> Iterator[TestClient]:
    cpu = torch.device("cpu")
    loader = ModelLoader(device=cpu, precision="fp32", shortlist=False, stuck_s=30.0)
    registry = ModelRegistry(lambda: entries, loader.load, drain_s=30.0)
    with TestClient(create_app(registry, Settings())) as client:
        yield client


def listed(client: TestClient) -> list[tuple[str, str, str | None, str | None]]:
    """Name, task and languages of the models, as they are listed."""
    models = client.get("/v1/models").json()["models"]
    return [(each["name"], each["task"], each["source"], each["target"]) for each in models]


@pytest.fixture(scope="module")
def summarizer(make_run: Callable[..., Path]) -> Path:
    return make_run("short", task="summarize", source_language="de", target_language="de")


@pytest.fixture(scope="module")
def translator(make_run: Callable[..., Path]) -> Path:
    return make_run("de-en", source_language="de", target_language="en")


@pytest.fixture(scope="module")
def client(summarizer: Path, translator: Path) -> Iterator[TestClient]:
    with serving(entries_of_runs([summarizer, translator])) as client:
        yield client


def test_runs_of_the_command_line_know_their_tasks_and_languages(client: TestClient) -> None:
    assert listed(client) == [
        ("short", "summarize", "de", "de"),
        ("de-en", "translate", "de", "en"),
    ]
    for path, key, name in (
        ("/v1/summarize", "summaries", "short"),
        ("/v1/translate", "translations", "de-en"),
    ):
        answer = client.post(path, json={"text": TEXT}).json()
        assert (answer["model"], len(answer[key])) == (name, 1)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("de", "en"),
        ("DE", "EN"),
        ("de-DE", "en-GB"),
        ("deu", "eng"),
        ("German", "english"),
        ("de", ""),
        ("", "en-US"),
    ],
)
def test_a_language_is_found_however_it_is_written(
    client: TestClient, source: str, target: str
) -> None:
    body = {"text": TEXT, "source": source, "target": target}
    response = client.post("/v1/translate", json=body)
    assert response.status_code == 200, response.text
    assert response.json()["model"] == "de-en"


@pytest.mark.parametrize("path", ["/v1/translate", "/v1/summarize"])
@pytest.mark.parametrize(
    "languages", [{"source": "ja", "target": "fr"}, {"source": "ja"}, {"target": "French"}]
)
def test_languages_of_no_model_are_refused(
    client: TestClient, path: str, languages: dict[str, str]
) -> None:
    response = client.post(path, json={"text": TEXT} | languages)
    assert (response.status_code, response.json()["error"]["type"]) == (404, "model_not_found")


@pytest.mark.parametrize("field", ["source", "target"])
def test_what_is_no_language_is_refused_and_not_repeated(client: TestClient, field: str) -> None:
    response = client.post("/v1/translate", json={"text": TEXT, field: "Xyzzyish"})
    assert (response.status_code, response.json()["error"]["type"]) == (422, "invalid_request")
    assert response.json()["error"]["message"].startswith(f"{field}: ")
    assert "such as de or pt-BR" in response.text
    assert "xyzzy" not in response.text.lower()


def test_scores_are_of_the_only_model_whatever_its_task(
    client: TestClient, summarizer: Path
) -> None:
    pair: dict[str, Any] = {"source": TEXT, "target": "the dog"}
    with serving(entries_of_runs([summarizer])) as alone:
        answer = alone.post("/v1/score", json=pair)
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == "short"
    refused = client.post("/v1/score", json=pair)  # here two would do
    assert (refused.status_code, refused.json()["error"]["type"]) == (422, "invalid_request")
    assert "`task`" in refused.json()["error"]["message"]
    for task, name in (("summarize", "short"), ("translate", "de-en")):
        assert client.post("/v1/score", json=pair | {"task": task}).json()["model"] == name


def test_a_models_file_says_more_than_the_checkpoint(
    tmp_path: Path, summarizer: Path, translator: Path
) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(f"""\
models:
  - {{name: as-it-is, path: {summarizer}}}
  - {{name: other, path: {summarizer}, task: translate, source: Swiss German, target: pt_br}}
  - {{name: half, path: {translator}, target: fr}}
  - {{name: any, path: {translator}, source: "", target: ""}}
""")
    with serving(read_models_file(file)) as client:
        assert listed(client) == [
            ("as-it-is", "summarize", "de", "de"),
            ("other", "translate", "gsw", "pt-BR"),
            ("half", "translate", "de", "fr"),
            ("any", "translate", None, None),
        ]
        for source, target, name in (
            ("gsw", "pt", "other"),
            ("de", "fr", "half"),
            ("ja", "ko", "any"),
        ):
            body = {"text": TEXT, "source": source, "target": target}
            assert client.post("/v1/translate", json=body).json()["model"] == name


def test_no_hostile_checkpoint_replaces_the_model_that_serves(tmp_path: Path) -> None:
    """A reload tells why, and the old model answers as before."""
    path = tmp_path / "checkpoint"
    copy_of_the_valid_one(path)
    entry = ModelEntry(name="tiny", path=path)
    loader = ModelLoader(
        device=torch.device("cpu"), precision="fp32", shortlist=False, stuck_s=30.0
    )
    registry = ModelRegistry(lambda: [entry], loader.load, drain_s=30.0)
    with TestClient(create_app(registry, Settings())) as client:
        before = client.post("/v1/translate", json={"text": "abba"}).json()["translations"]
        digest = registry.served[0].worker.digest
        assert client.portal
        for name, attack in list(ATTACKS.items())[::10]:
            shutil.rmtree(path)
            attack(copy_of_the_valid_one(path))
            with pytest.raises(CheckpointError):
                client.portal.call(registry.reload, "tiny")
            assert registry.served[0].worker.digest == digest, name
        after = client.post("/v1/translate", json={"text": "abba"}).json()["translations"]
        assert after == before
        shutil.rmtree(path)
        copy_of_the_valid_one(path)
        client.portal.call(registry.reload, "tiny")


def test_models_of_text_and_of_symbols_are_served_side_by_side(
    tiny_checkpoint: Path, symbol_checkpoint: Path, tmp_path: Path
) -> None:
    named = tmp_path / "symbols"
    named.symlink_to(symbol_checkpoint)
    with serving(entries_of_runs([tiny_checkpoint, named])) as client:
        models = client.get("/v1/models").json()["models"]
        assert [model["task"] for model in models] == ["translate", "transduce"]
        assert client.post("/v1/transduce", json={"symbols": "abc"}).status_code == 200
        assert client.post("/v1/translate", json={"text": "ein Hund"}).status_code == 200
