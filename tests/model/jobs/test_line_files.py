"""Files of lines: what is wrong is told with its place, and in words about lines."""

import pytest

from model.errors import DataError
from model.jobs.line_files import json_lines


def test_texts_are_read_from_a_field() -> None:
    raws = [b'{"text": "a b"}', '{"text": "\u00e4"}'.encode()]
    assert list(json_lines(raws, "text", "in.jsonl")) == ["a b", "\u00e4"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"abc", 'in.jsonl, line 2: not JSON. Write {"text": "..."}.'),
        (b'{"other": "a"}', "in.jsonl, line 2: no field 'text'."),
        (b'{"text": 3}', "in.jsonl, line 2: 'text' holds no text."),
        (b'{"text": "\\ud800"}', "in.jsonl, line 2: character 1 is half of a surrogate pair"),
    ],
)
def test_a_mistake_is_told_with_its_line(raw: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        list(json_lines([b'{"text": "a"}', raw], "text", "in.jsonl"))
    assert message in str(caught.value)
