"""Queue: sentences that wait for a slot, encoded ahead in batches of similar length."""

from itertools import islice
from typing import Generic, Protocol, TypeVar

from model.decoding.request import Request

LOOKAHEAD = 128  # how many waiting sentences are searched for companions in one encoder batch


Kept = TypeVar("Kept")
"""An encoded sentence, in the form that a search uses."""


class QueueSearch(Protocol[Kept]):
    """The interface of a search to the queue that feeds it."""

    @property
    def encode_rows(self) -> int: ...

    def group(self, src: tuple[int, ...]) -> int: ...

    def encode(self, requests: list[Request]) -> list[Kept]: ...


class Queue(Generic[Kept]):
    """A first-in, first-out queue that encodes ahead at most its first 128 sentences."""

    def __init__(self, search: QueueSearch[Kept]) -> None:
        self._search = search
        self._waiting: dict[int, Request] = {}  # in order of arrival
        self._encoded: dict[int, Kept] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, id: int, request: Request) -> None:
        """Add `request` to the end of the queue."""
        self._waiting[id] = request

    def all(self) -> list[tuple[int, Request]]:
        """All waiting sentences, in order of arrival."""
        return list(self._waiting.items())

    def cancel(self, id: int) -> bool:
        """Forget a waiting sentence; False if it is not here."""
        self._encoded.pop(id, None)
        return self._waiting.pop(id, None) is not None

    def pop(self) -> tuple[int, Request, Kept]:
        """Remove and return the sentence that has waited longest."""
        id, request = next(iter(self._waiting.items()))
        self.encode_ahead()
        del self._waiting[id]
        return id, request, self._encoded.pop(id)

    def encode_ahead(self) -> None:
        """Encode the sentence at the head, with companions, if there is one still to be encoded."""
        for id, request in islice(self._waiting.items(), 1):
            if id not in self._encoded:
                self._encode_with_companions(request)

    def _encode_with_companions(self, first: Request) -> None:
        """Encode `first`, the head of the queue, and the next waiting sentences of its group."""
        group = self._search.group(first.src)
        fitting = (
            (id, request)
            for id, request in islice(self._waiting.items(), LOOKAHEAD)
            if id not in self._encoded and self._search.group(request.src) == group
        )
        chosen = dict(islice(fitting, self._search.encode_rows))
        self._encoded.update(zip(chosen, self._search.encode(list(chosen.values())), strict=True))
