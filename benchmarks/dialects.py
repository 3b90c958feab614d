"""Dialects: how each server is asked for translations, and where they stand in its answer."""

import json
from collections.abc import Sequence
from typing import Protocol

from benchmarks.connection import Message, post


class Dialect(Protocol):
    """What a load generator has to know of a server."""

    def ask(self, texts: Sequence[str]) -> Message:
        """The request for translations of `texts`."""

    def answers(self, body: bytes) -> list[str] | None:
        """The translations in the body of an answer; None if it holds none."""


class Dragoman:
    """POST /v1/translate."""

    def __init__(
        self, beam_size: int, *, key: str = "", returns: Sequence[str] = (), joined: bool = False
    ) -> None:
        """
        Args:
            key: of the API, if the server wants one.
            returns: what is to be told of each translation besides its text; an answer is then
                all that is told, as JSON, where every bit of a number counts.
            joined: make one text of all, a paragraph of each.
        """
        self._whole = bool(returns)
        self._rest: dict[str, object] = {"options": {"beam_size": beam_size}}
        if returns:
            self._rest["return"] = list(returns)
        self._headers = [f"Authorization: Bearer {key}"] if key else []
        self._joined = joined

    def ask(self, texts: Sequence[str]) -> Message:
        """One text as a string, several as a list."""
        one = "\n".join(texts) if self._joined else texts[0]
        text = one if self._joined or len(texts) == 1 else list(texts)
        return post("/v1/translate", _json({"text": text} | self._rest), *self._headers)

    def answers(self, body: bytes) -> list[str] | None:
        """The best translation of each text, of each paragraph if they were joined."""
        found = _list(body, "translations")
        if found is None:
            return None
        if self._whole:
            return [json.dumps(each, sort_keys=True) for each in found]
        texts = [str(each["translation"]) for each in found]
        return texts[0].split("\n") if self._joined else texts


class OpenNMT:
    """OpenNMT-py's server. It answers errors with status 200."""

    def ask(self, texts: Sequence[str]) -> Message:
        """A list of sources, each with the id of the model."""
        return post("/translator/translate", _json([{"id": 100, "src": text} for text in texts]))

    def answers(self, body: bytes) -> list[str] | None:
        """The first of the n-best lists."""
        found = json.loads(body)
        return [str(each["tgt"]) for each in found[0]] if isinstance(found, list) else None


class Plain:
    """The server of benchmarks/peer_ctranslate2_server.py, and the one that answers at once."""

    def ask(self, texts: Sequence[str]) -> Message:
        """A list of texts under "text"."""
        return post("/translate", _json({"text": list(texts)}))

    def answers(self, body: bytes) -> list[str] | None:
        """A list under "translations"."""
        found = _list(body, "translations")
        return None if found is None else list(map(str, found))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _list(body: bytes, name: str) -> list[dict[str, object]] | None:
    found = json.loads(body)
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, list) else None
