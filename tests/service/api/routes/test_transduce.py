"""POST /v1/transduce: symbols and vectors as the library transduces them, and what is refused."""

import dataclasses
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import SecretStr, TypeAdapter
from starlette.testclient import TestClient

from model.decoding.symbol_options import TEXT_OPTIONS
from model.errors import ConfigError
from model.transducer import Transducer
from model.vector_transducer import VectorTransducer
from service.api.responses import ModelsResponse, TransduceResponse
from service.app import create_app
from service.engine.request_params import DETAILS, RequestParams
from service.engine.sequence_worker import SequenceWorker
from service.engine.sequences import MAX_NUMBERS
from service.limits.admission import Admission
from service.observability.metrics import Metrics
from service.registry.model_loader import ModelLoader
from service.registry.model_registry import ModelRegistry
from service.registry.models_file import ModelEntry
from service.settings import Settings
from tests.service.admitted import admitted

TRANSDUCE = "/v1/transduce"
LINES = ["abc", "h", "gfedcba", "a b c", "aaaaaaaaaaaa"]
FRAMES = [[1000.0, 1004, 996], [1001, 1002, 1003]]
LOADER = ModelLoader(device=torch.device("cpu"), precision="fp32", shortlist=False, stuck_s=60.0)


def registry_of(*entries: ModelEntry) -> ModelRegistry:
    return ModelRegistry(lambda: entries, LOADER.load, 1.0)


@pytest.fixture(scope="module")
def client(
    tiny_checkpoint: Path,
    symbol_checkpoint: Path,
    vector_checkpoint: Path,
    heard_checkpoint: Path,
    contour_checkpoint: Path,
    speaker_checkpoint: Path,
    window_checkpoint: Path,
) -> Iterator[TestClient]:
    registry = registry_of(
        ModelEntry(name="text", path=tiny_checkpoint),
        ModelEntry(name="g2p", path=symbol_checkpoint),
        ModelEntry(name="films", path=vector_checkpoint),
        ModelEntry(name="speech", path=heard_checkpoint),
        ModelEntry(name="contour", path=contour_checkpoint),
        ModelEntry(name="speaker", path=speaker_checkpoint),
        ModelEntry(name="series", path=window_checkpoint),
    )
    with TestClient(create_app(registry, Settings())) as client:
        yield client


def results(client: TestClient, **body: Any) -> list[dict[str, Any]]:
    response = client.post(TRANSDUCE, json=body)
    assert response.status_code == 200, response.text
    TypeAdapter(TransduceResponse).validate_python(response.json(), strict=True)
    found: list[dict[str, Any]] = response.json()["results"]
    return found


def test_symbols_are_those_of_the_library(client: TestClient, symbol_checkpoint: Path) -> None:
    library = Transducer.load(symbol_checkpoint, device="cpu", precision="fp32")
    options = dataclasses.replace(library.options, beam_size=4, n_best=3)
    found = results(
        client,
        model="g2p",
        symbols=LINES,
        options={"beam_size": 4, "n_best": 3},
        **{"return": ["scores", "tokens", "alignment"]},
    )
    for one, known in zip(found, library.transduce(LINES, options), strict=True):
        assert one["source_pieces"] == list(known.source_pieces)
        for each, hypothesis in zip([one, *one["alternatives"]], known.hypotheses, strict=True):
            assert each["symbols"] == hypothesis.translation
            assert each["score"] == hypothesis.score
            assert each["log_prob"] == hypothesis.log_prob
            assert each["pieces"] == list(hypothesis.pieces)
            assert each["alignment"] == list(hypothesis.alignment)
            assert each["truncated"] == hypothesis.truncated


def test_one_line_is_a_list_of_one_and_a_blank_line_comes_back(client: TestClient) -> None:
    (one,) = results(client, model="g2p", symbols="abc")
    assert one == {"symbols": one["symbols"], "truncated": one["truncated"]}
    assert [each["symbols"] for each in results(client, model="g2p", symbols=["", "abc", " "])] == [
        "",
        one["symbols"],
        " ",
    ]
    assert results(client, model="g2p", symbols=[]) == []


def test_vectors_are_those_of_the_library(client: TestClient, vector_checkpoint: Path) -> None:
    library = VectorTransducer.load(vector_checkpoint, device="cpu")
    given = [FRAMES, FRAMES * 20, FRAMES[:1]]
    found = results(client, model="films", vectors=given)
    for one, known in zip(found, library.transduce(given), strict=True):
        np.testing.assert_array_equal(one["vectors"], known)


def test_text_of_vectors_is_that_of_the_library(client: TestClient, heard_checkpoint: Path) -> None:
    library = Transducer.load(heard_checkpoint, device="cpu", precision="fp32")
    options = dataclasses.replace(library.options, beam_size=4, n_best=3)
    given = [FRAMES, FRAMES * 15, FRAMES[:1]]
    found = results(
        client,
        model="speech",
        vectors=given,
        options={"beam_size": 4, "n_best": 3},
        **{"return": ["scores", "tokens", "alignment", "attention"]},
    )
    for one, known in zip(found, library.transduce(given, options), strict=True):
        assert one["source_pieces"] == []
        for each, hypothesis in zip([one, *one["alternatives"]], known.hypotheses, strict=True):
            assert each["text"] == hypothesis.translation
            assert each["score"] == hypothesis.score
            assert each["pieces"] == list(hypothesis.pieces)
            assert each["alignment"] == list(hypothesis.alignment)
            assert each["word_alignment"] == list(hypothesis.word_alignment)


@pytest.mark.parametrize(("model", "field"), [("contour", "symbols"), ("speaker", "text")])
def test_vectors_of_lines_are_those_of_the_library(
    client: TestClient, contour_checkpoint: Path, speaker_checkpoint: Path, model: str, field: str
) -> None:
    path = {"contour": contour_checkpoint, "speaker": speaker_checkpoint}[model]
    library = VectorTransducer.load(path, device="cpu")
    alone = [results(client, model=model, **{field: line})[0]["vectors"] for line in LINES]
    assert [one["vectors"] for one in results(client, model=model, **{field: LINES})] == alone
    for one, known in zip(alone, library.transduce(LINES), strict=True):
        np.testing.assert_array_equal(one, known)


def test_alone_and_in_company_to_the_bit(client: TestClient) -> None:
    alone = [results(client, model="g2p", symbols=line, **{"return": ["scores"]}) for line in LINES]
    films = results(client, model="films", vectors=[FRAMES])
    with ThreadPoolExecutor(8) as pool:
        many = [
            pool.submit(results, client, model="g2p", symbols=line, **{"return": ["scores"]})
            for line in LINES * 4
        ]
        other = [pool.submit(results, client, model="films", vectors=[FRAMES]) for _ in range(8)]
        assert [each.result() for each in many] == alone * 4
        assert all(each.result() == films for each in other)


def test_a_long_batch_is_work_in_the_background(client: TestClient) -> None:
    (one,) = results(client, model="g2p", symbols="abc")
    assert results(client, model="g2p", symbols=["abc"] * 40) == [one] * 40


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 422, "give one of symbols, vectors and text"),
        ({"symbols": "a", "vectors": [FRAMES]}, 422, "give one of symbols, vectors and text"),
        ({"symbols": "abc"}, 422, "Several models read or write different things"),
        ({"symbols": "abc", "model": "films"}, 422, "symbols: this model reads vectors."),
        ({"vectors": [FRAMES], "model": "g2p"}, 422, "vectors: this model reads symbols."),
        ({"symbols": "abc", "model": "speech"}, 422, "symbols: this model reads vectors."),
        ({"symbols": "abc", "model": "speaker"}, 422, "symbols: this model reads text. Give text."),
        ({"text": "abc", "model": "contour"}, 422, "text: this model reads symbols. Give symbols."),
        (
            {"symbols": ["a", "ax"], "model": "contour"},
            422,
            "symbols.1: symbol 2: one is not among",
        ),
        ({"text": ["a", " "], "model": "speaker"}, 422, "text.1: a blank line, of which nothing"),
        (
            {"text": "a", "model": "speaker", "return": ["scores"]},
            422,
            "return: this model writes vectors, without a search.",
        ),
        (
            {"vectors": [FRAMES], "model": "speech", "options": {"alpha": -1}},
            422,
            "options.alpha: Input should be greater than or equal to 0",
        ),
        (
            {"symbols": "abc", "model": "text"},
            404,
            "No model of this name reads or writes symbols or vectors",
        ),
        ({"symbols": "abc", "model": "none"}, 404, "No model has this name."),
        ({"symbols": "abz", "model": "g2p"}, 422, "symbols: symbol 3: "),
        ({"symbols": ["a", "z"], "model": "g2p"}, 422, "symbols.1: symbol 1: "),
        ({"symbols": "a" * 13, "model": "g2p"}, 422, "symbols: 13 symbols, but the model reads"),
        ({"symbols": "a", "model": "g2p", "options": {"prefix": "A0"}}, 422, "prefix: unknown"),
        ({"symbols": "a", "model": "g2p", "options": {"n_best": 9}}, 422, "n_best"),
        ({"vectors": [[[1, 2]]], "model": "films"}, 422, "vectors: vectors of 2 numbers"),
        ({"vectors": [FRAMES, []], "model": "films"}, 422, "vectors.1: an empty sequence"),
        ({"vectors": [[1.0, 2.0]], "model": "films"}, 422, "vectors: vectors of 1 numbers"),
        ({"vectors": [[[1, "2", 3]]], "model": "films"}, 422, "Input should be a valid number"),
        ({"vectors": [[[1, 2, 3], [1]]], "model": "films"}, 422, "vectors: "),
        ({"vectors": [FRAMES], "model": "films", "options": {"beam_size": 2}}, 422, "options: "),
        ({"vectors": [[[1e300, 2, 3]]], "model": "films"}, 422, "vector 1, column 1 is 1e+300"),
        ({"vectors": [FRAMES], "model": "films", "options": {"beam_size": 1}}, 422, "options: "),
        ({"vectors": [FRAMES], "model": "films", "return": ["scores"]}, 422, "return: this model"),
        ({"symbols": "a", "model": "g2p", "options": {"temperature": 1e-40}}, 422, "temperature: "),
        ({"symbols": "a", "stream": True}, 422, "stream: unknown key."),
    ],
)
def test_what_cannot_be_transduced_is_refused(
    client: TestClient, body: dict[str, object], status: int, message: str
) -> None:
    response = client.post(TRANSDUCE, json=body)
    assert response.status_code == status, response.text
    assert message in response.json()["error"]["message"], response.text


def test_numbers_that_are_none_are_refused(client: TestClient) -> None:
    content = '{"model": "films", "vectors": [[[1, NaN, 3]]]}'
    headers = {"Content-Type": "application/json"}
    response = client.post(TRANSDUCE, content=content, headers=headers)
    assert response.status_code in (400, 422), response.text
    assert response.json()["error"]["message"]


def test_the_numbers_of_a_request_are_limited(client: TestClient) -> None:
    most = [[1000.0, 1000.0, 1000.0]] * (MAX_NUMBERS // 3)
    more = [*most, [1000.0, 1000.0, 1000.0]]
    response = client.post(TRANSDUCE, json={"model": "films", "vectors": [more]})
    assert response.status_code == 422
    assert f"a request may have {MAX_NUMBERS:,}" in response.json()["error"]["message"]
    deep = json.dumps({"model": "films", "vectors": [[[]]] * 400_000})
    headers = {"Content-Type": "application/json"}
    response = client.post(TRANSDUCE, content=deep, headers=headers)
    assert response.status_code in (413, 422)


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/v1/translate", {"text": "a"}),
        ("/v1/trace", {"text": "a"}),
        ("/v1/score", {"source": "a", "target": "a"}),
    ],
)
def test_a_model_of_symbols_does_not_read_text(
    client: TestClient, route: str, body: dict[str, str]
) -> None:
    response = client.post(route, json=body | {"model": "g2p"})
    assert response.status_code == 404
    assert "transduce, symbols to symbols" in response.json()["error"]["message"]


def test_models_tell_what_they_read_and_write(client: TestClient) -> None:
    found = client.get("/v1/models").json()
    TypeAdapter(ModelsResponse).validate_python(found, strict=True)
    told = [
        (one["task"], one["source_kind"], one["target_kind"], one["width"])
        for one in found["models"]
    ]
    assert told == [
        ("translate", "pieces", "pieces", None),
        ("transduce", "symbols", "symbols", None),
        ("transduce", "vectors", "vectors", 3),
        ("transduce", "vectors", "pieces", 3),
        ("transduce", "symbols", "vectors", None),
        ("transduce", "pieces", "vectors", None),
        ("transduce", "vectors", "vectors", 2),
    ]
    assert [one["window"] for one in found["models"][:-1]] == [None] * 6
    assert found["models"][-1]["window"] == {
        "columns": ["sun", "load"],
        "targets": ["load"],
        "window": 6,
        "horizon": 3,
    }
    text, symbols, vectors = (model["options"] for model in found["models"][:3])
    assert text.keys() - symbols.keys() == set(TEXT_OPTIONS)
    assert vectors == {}


def test_the_options_that_a_model_tells_can_be_sent(client: TestClient) -> None:
    found = client.get("/v1/models").json()["models"]
    options = {model["name"]: model["options"] for model in found}["g2p"]
    assert results(client, symbols="abc", model="g2p", options=options)


def test_a_route_for_text_names_that_of_sequences(client: TestClient) -> None:
    answer = client.post("/v1/translate", json={"text": "a", "model": "g2p"})
    assert answer.status_code == 404
    assert "Those that transduce have POST /v1/transduce." in answer.json()["error"]["message"]


def test_a_window_has_the_length_that_was_learned(
    client: TestClient, window_checkpoint: Path
) -> None:
    windows = [[[hour, 10 * hour] for hour in range(steps)] for steps in (6, 7)]
    body = {"model": "series", "vectors": windows[:1]}
    (result,) = client.post(TRANSDUCE, json=body).json()["results"]
    (forecast,) = VectorTransducer.load(window_checkpoint, device="cpu").transduce(windows[:1])
    np.testing.assert_array_equal(result["vectors"], forecast)
    response = client.post(TRANSDUCE, json=body | {"vectors": windows})
    assert response.status_code == 422
    message = response.json()["error"]["message"]
    assert message.startswith("vectors.1: 7 vectors, but this model has learned from windows of 6 ")


def test_the_only_model_needs_no_name(symbol_checkpoint: Path) -> None:
    registry = registry_of(ModelEntry(name="g2p", path=symbol_checkpoint))
    with TestClient(create_app(registry, Settings(api_keys=SecretStr("reader: secret")))) as client:
        assert client.post(TRANSDUCE, json={"symbols": "abc"}).status_code == 401
        headers = {"Authorization": "Bearer secret"}
        assert client.post(TRANSDUCE, json={"symbols": "a"}, headers=headers).status_code == 200
        metrics = client.get("/metrics").text
        assert 'dragoman_sentences_total{model="g2p"} 1.0' in metrics


def test_the_room_of_a_request_is_given_back(client: TestClient) -> None:
    admission = client.app.state.admission  # type: ignore[attr-defined]
    client.post(TRANSDUCE, json={"model": "g2p", "symbols": LINES})
    client.post(TRANSDUCE, json={"model": "films", "vectors": [FRAMES * 100]})
    client.post(TRANSDUCE, json={"model": "g2p", "symbols": "z"})
    assert (admission.requests, admission.pieces) == (0, 0)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"task": "translate"}, "task of model x: it is for text"),
        ({"source": "de"}, "source of model x: it is for text"),
        ({"shortlist": True}, "shortlist of model x: it is for text"),
    ],
)
def test_an_entry_may_not_ask_for_what_only_text_has(
    symbol_checkpoint: Path, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        LOADER.load(ModelEntry(name="x", path=symbol_checkpoint, **keys), Metrics())


@pytest.mark.parametrize("kind", ["films", "g2p"])
def test_an_answer_takes_no_more_room_than_is_expected(
    symbol_checkpoint: Path, vector_checkpoint: Path, kind: str
) -> None:
    """So that the limits of the server hold before an answer is made, and not only after."""
    run = {"films": vector_checkpoint, "g2p": symbol_checkpoint}[kind]
    worker = LOADER.load(ModelEntry(name=kind, path=run), Metrics())
    assert isinstance(worker, SequenceWorker)
    body: dict[str, Any] = (
        {"vectors": [FRAMES * 200]} if kind == "films" else {"symbols": LINES * 3}
    )
    details = () if kind == "films" else DETAILS
    with TestClient(create_app(registry_of(ModelEntry(name=kind, path=run)), Settings())) as client:
        answer = client.post(TRANSDUCE, json=body | {"return": list(details)}).content
    (sequences,) = body.values()
    with admitted(Admission(10**6, 10**9), 100) as reservation:
        params = RequestParams(options=worker.options, reservation=reservation, details=details)
        expected = worker.answer_bytes(list(map(len, sequences)), params)
    assert len(answer) < 2 * expected
    assert expected < 10 * len(answer)  # outputs may end early
