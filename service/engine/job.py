"""Job: one request for translations, while the engine thread works on it."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.decoding.beam_search import Hypothesis
from model.decoding.request import Request
from model.translation.assemble import Translation
from model.translation.incremental_detokenizer import IncrementalDetokenizer
from model.translation.rounds import Prepared
from service.engine.reply import PendingReply


@dataclass(frozen=True, slots=True)
class Unassembled:
    """A text whose sentences are finished, with more to do outside of the engine thread.

    It has many sentences to assemble, or it was read in windows and may take another round.
    """

    ready: Prepared
    found: Sequence[Sequence[Hypothesis]]
    """The hypotheses of each sentence."""


class Job:
    """Texts to translate. Once created, it is used only by the engine thread."""

    def __init__(
        self,
        reply: PendingReply[list[Translation | Unassembled]],
        texts: Sequence[str],
        *,
        stream: bool,
        prepared: dict[int, Prepared],
    ) -> None:
        """`prepared` holds the texts, by index, that are already split into sentences; those of a
        later round all are, and `texts` are then empty, as their bytes were counted before."""
        self.reply = reply
        self.options = reply.params.options
        self.aligned = "alignment" in reply.params.details
        self.texts, self.stream = texts, stream
        self.prepared = prepared
        self.plans: list[Prepared] = []
        self.requests: list[Request] = []  # one for each sentence of all texts, in order
        self.text_of: list[int] = []  # index of the text of each request
        self.found: list[list[tuple[Hypothesis, ...]]] = []  # by text, for each of its sentences
        self.first: list[int] = []  # by text, the index of its first request
        self.missing: list[int] = []  # by text, the number of its unfinished sentences
        self.translations: list[Translation | Unassembled | None] = [None] * len(texts)
        self.open = len(texts)  # number of texts without a translation
        self.detokenizer: IncrementalDetokenizer | None = None

    @property
    def pieces(self) -> int:
        """Number of source pieces of the texts planned so far."""
        return sum(len(request.src) for request in self.requests)

    def plan(self, ready: Prepared) -> None:
        """Add the next text and the requests for its sentences."""
        text, requests = len(self.plans), ready.requests
        self.plans.append(ready)
        self.first.append(len(self.requests))
        self.requests += requests
        self.text_of += [text] * len(requests)
        self.found.append([()] * len(requests))
        self.missing.append(len(requests))

    def finish_sentence(self, number: int, hypotheses: tuple[Hypothesis, ...]) -> int | None:
        """Record the hypotheses of the request `number`.

        Returns:
            The index of the text that this completes; None if it completes none.
        """
        text = self.text_of[number]
        self.found[text][number - self.first[text]] = hypotheses
        self.missing[text] -= 1
        return text if not self.missing[text] else None
