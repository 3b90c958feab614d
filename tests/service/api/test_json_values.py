"""JSON values: how many a body may have, so that parsing it cannot hold up everything else."""

import asyncio
import json

import pytest
from pydantic import ValidationError

from model.errors import RequestError
from service.api.json_values import SLICE, check_values
from service.api.request_bodies import (
    MAX_PHRASES,
    MAX_TEXTS,
    MAX_VALUES,
    MAX_WORD,
    Options,
    TranslateRequest,
)
from service.engine.request_params import DETAILS


def values(body: bytes) -> bool:
    """Whether a body is let through to the parser."""
    try:
        asyncio.run(check_values(body, MAX_VALUES))
    except RequestError as error:
        assert "more than" in str(error)
        return False
    return True


@pytest.mark.parametrize("position", [0, 1, SLICE - 12, SLICE - 11, SLICE - 10, 2 * SLICE - 9])
@pytest.mark.parametrize("inside", ['\\"', "\\\\", ",", "[", '\\\\\\"', "\\u00e4", "ä"])
def test_what_stands_in_a_string_is_no_value(position: int, inside: str) -> None:
    """Wherever the slices are cut."""
    text = "x" * position + inside * 5_000
    body = b'{"text": "%b"}' % (text + "y" * 3 * SLICE).encode()
    assert json.loads(body)
    assert values(body)
    assert not values(body[:-1] + b', "n": [' + b"0," * MAX_VALUES + b"0]}")


@pytest.mark.parametrize("part", [",", "[", "{", '""', '"xx",', "1:"])
def test_more_values_than_are_allowed(part: str) -> None:
    """The parser would say what is wrong, but after all of it."""
    for count, fits in ((MAX_VALUES // 2 - 10, True), (MAX_VALUES, False)):
        body = part * count + '"' + "x" * SLICE + '"'
        assert values(body.encode()) == fits


def test_the_largest_requests_are_let_through() -> None:
    """As many texts, phrases and options as the schemas allow."""
    phrases = {name: ["ab"] * MAX_PHRASES for name in ("constraints", "avoid")}
    numbers = {name: 1 for name, field in Options.model_fields.items() if name not in phrases}
    texts = ["x" * 300] * MAX_TEXTS
    translate = {
        "text": texts,
        "options": phrases | numbers,
        "return": list(DETAILS),
        **dict.fromkeys(("model", "source", "target"), "de"),
        **dict.fromkeys(("deadline_ms", "priority", "stream"), 1),
    }
    for body in (translate, {"source": texts, "target": texts, "task": "translate"}):
        content = json.dumps(body).encode()
        assert len(content) > SLICE
        assert values(content)


@pytest.mark.parametrize("begin", [0, 1, 4_999, 5_000, 7_777])
@pytest.mark.parametrize(("length", "fits"), [(MAX_WORD, True), (MAX_WORD + 1, False)])
@pytest.mark.parametrize("space", [" ", "\n", "\u3000", ""])
def test_words_are_bounded(begin: int, length: int, fits: bool, space: str) -> None:
    text = "a " * (begin // 2) + " " * (begin % 2) + "b" * length + space
    for whole in (text, text + "c d" * 3_000 if space else text):
        body = json.dumps({"text": whole}).encode()
        if fits:
            assert TranslateRequest.model_validate_json(body).texts == [whole]
        else:
            with pytest.raises(ValidationError, match="a word has more than 10000"):
                TranslateRequest.model_validate_json(body)
