"""Lane: the sentences of one beam size that are searched side by side.

A sentence joins as soon as a slot is free and leaves in the step in which it is known to be over.
The active slots are always the first ones. What a step computes is up to the search: `TorchSearch`,
`NativeSearch` for int8 on a CPU, or `VectorSearch` for outputs that are vectors.
"""

from collections.abc import Iterable
from typing import Generic, NamedTuple, Protocol

from model.decoding.beam_search import Hypothesis
from model.decoding.options import length_limit
from model.decoding.queue import Kept, Queue, QueueSearch
from model.decoding.request import Event, Finished, Request
from model.decoding.sentence import Sentence, has_rules


class Unfinished(NamedTuple):
    """A sentence that starts over in another lane."""

    id: int
    request: Request
    reported: int
    """Length of the stable prefix last reported."""


class SearchSlots(Protocol):
    """What a lane asks of the slots of its search."""

    @property
    def count(self) -> int: ...

    def finish(self, slot: int, sentence: Sentence) -> tuple[Hypothesis, ...]: ...

    def progress_events(self, active: list[Sentence | None]) -> list[Event]: ...


class Search(QueueSearch[Kept], Protocol[Kept]):
    """The interface of a search to a lane. The result of `encode`, of any type, goes to `admit`."""

    @property
    def slots(self) -> SearchSlots: ...

    def admit(self, slot: int, sentence: Sentence, encoded: Kept) -> None: ...

    def move(self, source: int, target: int, sentence: Sentence) -> None: ...

    def extend(self, active: list[Sentence]) -> list[bool]: ...


class Lane(Generic[Kept]):
    """Slots for the sentences of one beam size, and a queue of those that wait for one."""

    def __init__(self, search: Search[Kept], *, encode_ahead: bool) -> None:
        """`encode_ahead`: whether the head of the queue is encoded after every step."""
        self._search = search
        self.waiting = Queue(search)
        self._encode_ahead = encode_ahead
        self._active: list[Sentence | None] = []  # None: freed since the last step
        self._reported: dict[int, int] = {}  # by id, for sentences that began in another lane

    @property
    def busy(self) -> bool:
        """Whether any sentence is active or waiting."""
        return len(self.waiting) > 0 or any(self._active)

    @property
    def slots(self) -> int:
        """How many sentences can be active."""
        return self._search.slots.count

    def cancel(self, id: int) -> bool:
        """Forget the sentence `id`; False if it is not here."""
        self._reported.pop(id, None)
        if self.waiting.cancel(id):
            return True
        for slot, sentence in enumerate(self._active):
            if sentence is not None and sentence.id == id:
                self._active[slot] = None
                return True
        return False

    def unfinished(self) -> list[Unfinished]:
        """All sentences of the lane: first those in flight, then those waiting, by arrival."""
        active = [sentence for sentence in self._active if sentence is not None]
        active.sort(key=lambda sentence: sentence.id)
        return [
            *(Unfinished(s.id, s.request, s.reported) for s in active),
            *(Unfinished(*one, self._reported.get(one[0], 0)) for one in self.waiting.all()),
        ]

    def take(self, unfinished: Iterable[Unfinished]) -> None:
        """Queue sentences from another lane. What was already reported is not reported again."""
        for id, request, reported in unfinished:
            self.waiting.add(id, request)
            self._reported[id] = reported

    def step(self) -> list[Event]:
        """Fill free slots, extend every active sentence by one piece, and return the events.

        If this raises, no sentence is lost: `unfinished` has them all.
        """
        active = self._fill()
        if not active:
            return []
        over = self._search.extend(active)
        if self._encode_ahead:
            self.waiting.encode_ahead()
        events: list[Event] = []
        remaining: list[Sentence | None] = []
        for slot, sentence in enumerate(active):
            sentence.length += 1
            if over[slot]:
                hypotheses = self._search.slots.finish(slot, sentence)
                events.append(Finished(sentence.id, hypotheses))
            remaining.append(None if over[slot] else sentence)
        events += self._search.slots.progress_events(remaining)
        self._active = remaining
        return events

    def _fill(self) -> list[Sentence]:
        """Move waiting sentences into free slots, and the last active ones into slots still free.

        Returns:
            The active sentences by slot.
        """
        holes = [slot for slot, sentence in enumerate(self._active) if sentence is None]
        holes.reverse()
        while len(self.waiting) and (holes or len(self._active) < self.slots):
            self._admit(holes.pop() if holes else len(self._active))
        for hole in holes:  # from the highest down: the last slot is then never another hole
            last = self._active.pop()
            if last is not None:
                self._active[hole] = last
                self._search.move(len(self._active), hole, last)
        return [sentence for sentence in self._active if sentence is not None]

    def _admit(self, slot: int) -> None:
        """Move the sentence that has waited longest into `slot`."""
        id, request, encoded = self.waiting.pop()
        limit = length_limit(request.options, len(request.src))
        sentence = Sentence(id, request, limit, has_rules(request))
        sentence.reported = self._reported.pop(id, 0)
        self._active[slot : slot + 1] = [sentence]
        self._search.admit(slot, sentence, encoded)
