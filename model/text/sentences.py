"""Sentences: where in a line one ends and the next begins."""

import re

_END = re.compile(r"[.!?\u2026](?=\s+\S)")


def sentence_ends(line: str, language: str) -> list[int]:
    """Where in `line` sentences end: behind all but the last."""
    return [found.end() for found in _END.finditer(line)]


def has_several_sentences(line: str, language: str) -> bool:
    """Whether `line` has more than one sentence."""
    return bool(sentence_ends(line, language))
