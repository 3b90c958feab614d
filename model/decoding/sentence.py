"""Sentence: the state on the host of a sentence in flight, and of all those with rules."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from model.decoding.request import Request

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class Sentence:
    """One active sentence. Everything that differs between its hypotheses is in tensors."""

    id: int
    request: Request
    limit: int
    """The most pieces that it may have."""
    ruled: bool
    """See `has_rules`."""
    length: int = 0
    """Steps so far: the length of all alive hypotheses, or more if it is already over."""
    reported: int = 0
    """Length of the stable prefix that was last reported."""


def has_rules(request: Request) -> bool:
    """Whether a sentence uses options that `model.decoding.rules.rules` implements."""
    options = request.options
    return bool(
        request.prefix
        or request.constraints
        or request.avoid
        or request.source_words is not None
        or request.source_names is not None
        or options.word_reward
        or options.coverage_beta
        or options.no_repeat_ngram
        or options.temperature
        or options.diverse_groups > 1
        or limits_words(request)
    )


def limits_words(request: Request) -> bool:
    """Whether the words of a sentence are limited, below or above."""
    return bool(request.min_words or request.max_words)


class Ruled(NamedTuple):
    """The active sentences with rules, and their slots. A row is a position in these lists."""

    sentences: list[Sentence]
    slots: list[int]

    @classmethod
    def of(cls, active: list[Sentence]) -> "Ruled":
        """Those with rules among the active sentences, which are given by slot."""
        slots = [slot for slot, sentence in enumerate(active) if sentence.ruled]
        return cls([active[slot] for slot in slots], slots)

    def slots_of(self, rows: list[int]) -> list[int]:
        """The slots of `rows`."""
        return [self.slots[row] for row in rows]

    def rows(self, test: Callable[[Request], object]) -> list[int]:
        """The rows whose request passes `test`."""
        return self.rows_of(lambda sentence: test(sentence.request))

    def rows_of(self, test: Callable[[Sentence], object]) -> list[int]:
        """The rows whose sentence passes `test`."""
        return [row for row, sentence in enumerate(self.sentences) if test(sentence)]

    def groups(self, key: Callable[[Sentence], Key | None]) -> dict[Key, list[int]]:
        """The rows grouped by key, without those whose key is None."""
        found: dict[Key, list[int]] = {}
        for row, sentence in enumerate(self.sentences):
            value = key(sentence)
            if value is not None:
                found.setdefault(value, []).append(row)
        return found
