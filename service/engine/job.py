"""Job: one request for translations, while the engine thread works on it."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

from model.decoding.beam_search import Hypothesis
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.errors import InputTooLong
from model.text.segmentation import Segmenter
from model.text.tokenizer import Tokenizer
from model.translation.assemble import Translation, assemble, prepare
from model.translation.incremental_detokenizer import IncrementalDetokenizer
from model.translation.phrases import Phrases
from model.translation.rounds import Prepared
from service.engine.reply import PendingReply

MAX_INTERACTIVE = 16
"""A request with more texts or sentences than this is background work."""


@dataclass(frozen=True, slots=True)
class Unassembled:
    """A text whose sentences are finished, with more to do outside of the engine thread.

    It has many sentences to assemble, or it was read in windows and may take another round.
    """

    ready: Prepared
    found: Sequence[Sequence[Hypothesis]]
    """The hypotheses of each sentence."""


def text_field(number: int, count: int) -> str:
    """What messages call the text with this number, of `count` texts of a request."""
    return f"text.{number}" if count > 1 else "text"


class TextPreparer:
    """Cuts texts into sentences, and makes requests of them. Safe to use from any thread."""

    def __init__(self, tokenizer: Tokenizer, phrases: Phrases, segmenter: Segmenter) -> None:
        self.tokenizer = tokenizer
        self._phrases, self._segmenter = phrases, segmenter

    def prepare(self, texts: Sequence[str], number: int, options: SearchOptions) -> Prepared:
        """Split one of the `texts` of a request into sentences.

        Raises:
            RequestError: the text cannot be translated with these options.
        """
        try:
            return prepare(texts[number], options, self._segmenter, self._phrases)
        except InputTooLong as error:
            error.field = text_field(number, len(texts))
            raise


class Job:
    """Texts to translate. Once created, it is used only by the engine thread."""

    def __init__(
        self,
        reply: PendingReply[list[Translation | Unassembled]],
        texts: Sequence[str],
        preparer: TextPreparer,
        *,
        stream: bool,
        prepared: dict[int, Prepared],
    ) -> None:
        """`prepared` holds the texts, by index, that are already split into sentences; those of a
        later round all are, and `texts` are then empty, as their bytes were counted before."""
        self.reply = reply
        self._preparer = preparer
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

    @property
    def count(self) -> int:
        """Number of texts."""
        return len(self.texts)

    @property
    def planned(self) -> bool:
        """Whether the requests for all texts are there."""
        return len(self.plans) == len(self.texts)

    def plan_next(self) -> None:
        """Plan the next text.

        Raises:
            RequestError: it cannot be translated with the options of the request.
        """
        number = len(self.plans)
        ready = self.prepared.pop(number, None)
        if ready is None:
            ready = self._preparer.prepare(self.texts, number, self.options)
        if self.stream and ready.reading is None:  # of several rounds only the last is streamed
            self.detokenizer = IncrementalDetokenizer(ready.plan, self._preparer.tokenizer)
            if len(ready.requests) <= MAX_INTERACTIVE:  # a longer text is streamed by sentences
                streamed = [dataclasses.replace(one, stream=True) for one in ready.requests]
                ready = ready._replace(requests=streamed)
        self.plan(ready)

    def plan(self, ready: Prepared) -> None:
        """Add the next text and the requests for its sentences."""
        text, requests = len(self.plans), ready.requests
        self.plans.append(ready)
        self.first.append(len(self.requests))
        self.requests += requests
        self.text_of += [text] * len(requests)
        self.found.append([()] * len(requests))
        self.missing.append(len(requests))

    @property
    def size(self) -> int:
        """Number of bytes of the texts."""
        return sum(len(text.encode()) for text in self.texts)

    def begin(self) -> None:
        """Finish the texts without sentences, once all are planned.

        Raises:
            RequestError: see `model.translation.assemble.assemble`.
        """
        for text, missing in enumerate(self.missing):
            if not missing:
                self._finish_text(text)
        if not self.texts:
            self.reply.finish([])

    def finish_sentence(self, number: int, hypotheses: tuple[Hypothesis, ...]) -> None:
        """Record the hypotheses of the request `number`, and answer when nothing is missing.

        Raises:
            RequestError: see `model.translation.assemble.assemble`.
        """
        if hypotheses:
            self.send_partial(number, hypotheses[0].pieces, done=True)
        text = self.text_of[number]
        self.found[text][number - self.first[text]] = hypotheses
        self.missing[text] -= 1
        if not self.missing[text]:
            self._finish_text(text)

    def send_partial(self, number: int, pieces: tuple[int, ...], *, done: bool) -> None:
        """Send the stable prefix of a text that is streamed, if it has grown.

        Args:
            pieces: the stable prefix of the sentence `number`.
            done: whether that is the whole sentence.
        """
        if self.detokenizer is not None:
            text = self.detokenizer.update(number, pieces, done=done)
            if text is not None:
                self.reply.send_partial(text)

    def _finish_text(self, text: int) -> None:
        """Assemble a text whose sentences are all finished."""
        ready, found = self.plans[text], self.found[text]
        n_best, tokenizer = self.options.n_best, self._preparer.tokenizer
        self.translations[text] = (
            Unassembled(ready, found)
            if ready.reading is not None or len(found) > MAX_INTERACTIVE
            else assemble(ready.plan, found, n_best, tokenizer, aligned=self.aligned)
        )
        self.found[text] = []
        self.open -= 1
        if not self.open:
            self.reply.decoded_at = time.monotonic()
            self.reply.finish([each for each in self.translations if each is not None])
