"""Job: one request on its way through the thread of the engine."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.decoding.beam_search import Hypothesis
from model.decoding.request import Request
from model.text.segmentation import Plan
from model.translation.assemble import Prepared, Translation
from service.engine.incremental_detokenizer import IncrementalDetokenizer
from service.engine.reply import Ticket


@dataclass(frozen=True, slots=True)
class Unassembled:
    """A text of many parts, all of them over. To put it together would hold up the engine."""

    plan: Plan
    found: Sequence[Sequence[Hypothesis]]
    """The hypotheses of each part."""


class Job:
    """Texts to translate. But for its making, of the thread of the engine."""

    def __init__(
        self,
        ticket: Ticket[list[Translation | Unassembled]],
        texts: Sequence[str],
        *,
        stream: bool,
        prepared: dict[int, Prepared],
    ) -> None:
        """`prepared` has those of the texts, by number, that were taken apart already."""
        self.ticket = ticket
        self.options = ticket.params.options
        self.aligned = "alignment" in ticket.params.details
        self.texts, self.stream = texts, stream
        self.given = prepared
        self.plans: list[Plan] = []
        self.requests: list[Request] = []  # of all texts, in order
        self.text_of: list[int] = []  # by the number of a request
        self.found: list[list[tuple[Hypothesis, ...]]] = []  # by text, for each of its parts
        self.first: list[int] = []  # by text, the number of its first request
        self.missing: list[int] = []  # by text, how many of its parts are not over
        self.translations: list[Translation | Unassembled | None] = [None] * len(texts)
        self.open = len(texts)  # texts that have no translation yet
        self.detokenizer: IncrementalDetokenizer | None = None

    @property
    def pieces(self) -> int:
        """Source pieces of what is planned."""
        return sum(len(request.src) for request in self.requests)

    def plan(self, plan: Plan, requests: list[Request]) -> None:
        """How the next text is translated."""
        text = len(self.plans)
        self.plans.append(plan)
        self.first.append(len(self.requests))
        self.requests += requests
        self.text_of += [text] * len(requests)
        self.found.append([()] * len(requests))
        self.missing.append(len(requests))

    def find(self, number: int, hypotheses: tuple[Hypothesis, ...]) -> int | None:
        """The request `number` is over.

        Returns:
            Which text is complete with it, if one is.
        """
        text = self.text_of[number]
        self.found[text][number - self.first[text]] = hypotheses
        self.missing[text] -= 1
        return text if not self.missing[text] else None
