"""Shared engine: the calls of several threads search together in one engine.

It has no thread of its own. One of the callers that wait for events steps the engine, and hands out
the events of all; the sentences of other calls join those in flight at its next step. What is found
for a sentence does not depend on the others, see `model.decoding.engine`.
"""

import threading
from collections.abc import Generator, Sequence

from model.decoding.engine import Engine
from model.decoding.long_engine import LongEngine
from model.decoding.request import Event, Finished, Refused, Request
from model.errors import RequestError

NumberedEvent = tuple[int, Event]
"""The index of a request in its call, and an event for it."""


class _Call:
    """The requests of one call of `SharedEngine.search`."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self.unfinished = dict(enumerate(requests))
        self.events: list[NumberedEvent] = []  # not taken by the caller yet
        self.error: RequestError | None = None


class SharedEngine:
    """An engine that any number of threads may use at once."""

    def __init__(self, engine: Engine | LongEngine) -> None:
        """From now on nothing else may use `engine`."""
        self._engine = engine
        # It guards the calls and the four fields below. Its lock is reentrant, since an abandoned
        # `search` may be closed by the garbage collector while this thread holds it.
        self._changed = threading.Condition()
        self._open: list[_Call] = []
        self._arrived: list[_Call] = []  # not in the engine yet
        self._left: list[_Call] = []  # with sentences that may still be in the engine
        self._stepping = False  # whether a thread uses the engine and `_owner`
        self._owner: dict[int, tuple[_Call, int]] = {}  # by id in the engine

    def search(self, requests: Sequence[Request]) -> Generator[NumberedEvent, None, None]:
        """The events for `requests`, each with the index of its request, until all are finished.

        Those that are not finished when the generator is closed are cancelled. Sentences of one
        beam size take their slots in the order of calls and, within a call, of `requests`.

        Raises:
            RequestError: see `Engine.add`; other calls go on.
            RuntimeError, MemoryError: see `Engine.step`; other calls try again.
        """
        if not requests:
            return
        call = _Call(requests)
        with self._changed:
            self._open.append(call)
            self._arrived.append(call)
        try:
            while call.unfinished:
                self._wait_for_events(call)
                yield from self._take_events(call)
        finally:
            with self._changed:
                self._open.remove(call)
                if call.unfinished:
                    self._left.append(call)

    def _wait_for_events(self, call: _Call) -> None:
        """Wait until `call` has events or an error; step the engine while no other thread does."""
        stepping = False
        try:
            with self._changed:
                self._changed.wait_for(
                    lambda: call.events or call.error is not None or not self._stepping
                )
                if not call.events and call.error is None:
                    stepping = self._stepping = True
            while not call.events and call.error is None:
                self._step()
        finally:
            if stepping:
                with self._changed:
                    self._stepping = False
                    self._changed.notify_all()  # one of those that wait goes on

    def _take_events(self, call: _Call) -> list[NumberedEvent]:
        """The events of `call` so far.

        Raises:
            RequestError: one of its requests was refused.
        """
        with self._changed:
            if call.error is not None:
                raise call.error
            events, call.events = call.events, []
            taken = []
            for number, event in events:
                # If not, it was found already, before the search had to start over.
                if number in call.unfinished:
                    taken.append((number, event))
                    if isinstance(event, Finished | Refused):
                        del call.unfinished[number]
        return taken

    def _step(self) -> None:
        """Let calls join and leave, make one step, and hand out the events."""
        try:
            self._admit()
            events = self._engine.step()
            with self._changed:
                for event in events:
                    self._hand_out(event)
                if events:
                    self._changed.notify_all()
        except BaseException:  # Ctrl-C, too, may have stopped a step half-way
            self._start_over()
            raise

    def _admit(self) -> None:
        """Add the sentences of calls that arrived, and cancel those of calls that left."""
        with self._changed:
            arrived, self._arrived = self._arrived, []
            left, self._left = self._left, []
        if left:
            for id, (call, _) in list(self._owner.items()):
                if call in left:
                    self._engine.cancel(id)
                    del self._owner[id]
        for call in arrived:
            if call not in left:
                self._add(call)

    def _add(self, call: _Call) -> None:
        """Queue the unfinished sentences of `call`; if one is refused, its caller is told."""
        with self._changed:
            requests = list(call.unfinished.items())
        try:
            for number, request in requests:
                self._owner[self._engine.add(request)] = call, number
        except RequestError as error:
            with self._changed:
                call.error = error
                self._changed.notify_all()

    def _hand_out(self, event: Event) -> None:
        known = self._owner.get(event.id)  # none if Ctrl-C came just after `Engine.add`
        if known is None:
            return
        call, number = known
        call.events.append((number, event))
        if isinstance(event, Finished | Refused):
            del self._owner[event.id]

    def _start_over(self) -> None:
        """Search again for all open calls, since the step that they were in was not finished."""
        with self._changed:
            self._arrived = list(self._open)
        for id in self._owner:
            self._engine.cancel(id)
        self._owner.clear()
