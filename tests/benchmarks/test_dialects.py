"""Dialects: what each server is asked, and what is read from its answers."""

import json

from benchmarks.connection import post
from benchmarks.dialects import Dragoman, OpenNMT, Plain


def test_requests_are_http_with_the_length_of_their_bytes() -> None:
    message = post("/path", "ä".encode(), "Authorization: Bearer x")
    head = message.head.decode().split("\r\n")
    assert head[0] == "POST /path HTTP/1.1"
    assert {"Content-Length: 2", "Authorization: Bearer x", "Host: 127.0.0.1"} <= set(head)
    assert head[-2:] == ["", ""]


def test_dialects_ask_for_one_and_for_several() -> None:
    ours = Dragoman(5, key="k", returns=["scores"])
    assert b"Authorization: Bearer k\r\n" in ours.ask(["a"]).head
    options = {"options": {"beam_size": 5}, "return": ["scores"]}
    assert json.loads(ours.ask(["a"]).body) == {"text": "a"} | options
    assert json.loads(ours.ask(["a", "b"]).body) == {"text": ["a", "b"]} | options
    joined = json.loads(Dragoman(1, joined=True).ask(["a", "b"]).body)
    assert joined == {"text": "a\nb", "options": {"beam_size": 1}}
    assert json.loads(OpenNMT().ask(["a"]).body) == [{"id": 100, "src": "a"}]


def test_dialects_find_the_answers_and_see_where_there_is_none() -> None:
    entries = [{"translation": "x", "score": -0.1}, {"translation": "y", "score": -0.0}]
    body = json.dumps({"translations": entries}).encode()
    assert Dragoman(5).answers(body) == ["x", "y"]
    told = Dragoman(5, returns=["scores"]).answers(body)
    assert told == ['{"score": -0.1, "translation": "x"}', '{"score": -0.0, "translation": "y"}']
    lines = json.dumps({"translations": [{"translation": "x\ny"}]}).encode()
    assert Dragoman(5, joined=True).answers(lines) == ["x", "y"]
    assert OpenNMT().answers(b'[[{"tgt": "x"}, {"tgt": "y"}]]') == ["x", "y"]
    failed = b'{"error": "out of memory", "status": "error"}'
    assert (
        OpenNMT().answers(failed) is Plain().answers(failed) is Dragoman(5).answers(failed) is None
    )
