"""Lane: the sentences of one beam size that are searched side by side.

A sentence joins as soon as a slot is free and leaves in the step it finishes. The active slots are
always the first ones. What a step computes is the business of the search: `TorchSearch`, or
`NativeSearch` for int8 on a CPU.
"""

from typing import Any

from model.decoding.admission import Queue
from model.decoding.native.search import NativeSearch
from model.decoding.options import length_limit
from model.decoding.request import Event, Finished
from model.decoding.sentence import Sentence, has_rules
from model.decoding.torch_search import TorchSearch


class Lane:
    """Slots for sentences of one beam size, and the queue of those that wait for one."""

    def __init__(self, search: TorchSearch | NativeSearch, *, encode_ahead: bool) -> None:
        """`encode_ahead`: whether the head of the queue is encoded behind every step."""
        self.waiting: Queue[Any] = Queue(search)
        self._search = search
        self._encode_ahead = encode_ahead
        self._active: list[Sentence | None] = []  # None: freed since the last step

    @property
    def busy(self) -> bool:
        """Whether a sentence is active or waiting."""
        return len(self.waiting) > 0 or any(self._active)

    def cancel(self, id: int) -> bool:
        """Forget the sentence `id`; False if it is not here."""
        if self.waiting.cancel(id):
            return True
        for slot, sentence in enumerate(self._active):
            if sentence is not None and sentence.id == id:
                self._active[slot] = None
                return True
        return False

    def step(self) -> list[Event]:
        """Fill free slots, extend every active sentence by one piece, hand over the finished."""
        active = self._fill()
        if not active:
            return []
        over = self._search.extend(active)
        if self._encode_ahead:
            self.waiting.encode_ahead()
        events: list[Event] = []
        for slot, sentence in enumerate(active):
            sentence.length += 1
            if over[slot]:
                hypotheses = self._search.slots.finish(slot, sentence)
                events.append(Finished(sentence.id, hypotheses))
                self._active[slot] = None
        return events + self._search.slots.news(self._active)

    def _fill(self) -> list[Sentence]:
        """Waiting sentences take the free slots; the last active ones move into what remains free.

        Returns:
            The active sentences, that of slot i at i.
        """
        holes = [slot for slot, sentence in enumerate(self._active) if sentence is None]
        holes.reverse()
        while len(self.waiting) and (holes or len(self._active) < self._search.slots.count):
            slot = holes.pop() if holes else len(self._active)
            self._active[slot : slot + 1] = [self._admit(slot)]
        for hole in holes:  # from the highest down, so that the last slot is never another hole
            last = self._active.pop()
            if last is not None:
                self._search.move(len(self._active), hole, last)
                self._active[hole] = last
        return [sentence for sentence in self._active if sentence is not None]

    def _admit(self, slot: int) -> Sentence:
        """Put the sentence that has waited longest into `slot`."""
        id, request, encoded = self.waiting.pop()
        limit = length_limit(request.options, len(request.src))
        sentence = Sentence(id, request, limit, ruled=has_rules(request))
        self._search.admit(slot, sentence, encoded)
        return sentence
