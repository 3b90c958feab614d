"""Long engine: the search for one source of any length at a time.

It has the interface of `Engine` and runs the same search, but has no slots that are made for the
longest source: nothing as large as a source is allocated before its turn. Then its memory is
compared with what is available, it is encoded chunk by chunk, and the search attends to what was
encoded without another copy of it. A step is one chunk, or one piece of the output.
"""

# Shapes: S source length with EOS, K hypotheses (the beam), V vocabulary.

from collections.abc import Generator

import torch
from torch import Tensor

from model.decoding.available_memory import available_bytes
from model.decoding.cuda.launch import StepLaunch
from model.decoding.cuda.side_stream import sent
from model.decoding.engine import MAX_LENGTH, check_ids, check_phrases, check_room
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.long_memory import bytes_needed, check_memory
from model.decoding.native.network import NativeNetwork
from model.decoding.options import length_limit
from model.decoding.out_of_memory import is_out_of_memory
from model.decoding.precision.precision import Runnable, cast
from model.decoding.request import Event, Finished, Refused, Request
from model.decoding.rules.word_limits import PieceWords
from model.decoding.sentence import Sentence, has_rules
from model.decoding.state.slots import Slots
from model.decoding.torch.encode import Encoded
from model.decoding.torch.inference_network import InferenceNetwork
from model.decoding.torch.torch_search import TorchSearch
from model.errors import RequestError
from model.network.decoder import DecoderState
from model.network.long_encoder import CHUNK
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID


def long_network(prepared: Runnable, network: Seq2Seq) -> InferenceNetwork:
    """The network that searches for sources of any length beside `prepared`, made from `network`.

    It is `prepared` itself, unless that computes in int8, which has no encoder of this kind; then
    it is another one, in fp32.

    Raises:
        RequestError: it is an ensemble.
    """
    if isinstance(prepared, InferenceNetwork):
        return prepared
    if isinstance(prepared, NativeNetwork):
        place = torch.device(prepared.device)
        return InferenceNetwork(cast(network, torch.float32, place), torch.float32)
    raise RequestError(
        "on_long: whole is not there for an ensemble. Use one model, or windows, cut or refuse."
    )


class LongEngine:
    """Searches for one source after the other, in the order in which they were added."""

    def __init__(
        self,
        network: InferenceNetwork,
        *,
        continues: Tensor | None = None,
        words: PieceWords | None = None,
        shortlist: Shortlist | None = None,
        chunk: int = CHUNK,
    ) -> None:
        """
        Args:
            network: see `long_network`.
            continues, words, shortlist: see `Engine`.
            chunk: source pieces that are encoded at a time.
        """
        self._network, self._shortlist, self._chunk = network, shortlist, chunk
        self._vocab_size = network.config.vocab_size
        none = torch.zeros(self._vocab_size, dtype=torch.bool)
        self._continues = (none if continues is None else continues).to(network.device)
        words = PieceWords.one_each(self._vocab_size) if words is None else words
        self._words = words.to(network.device)
        self._waiting: dict[int, Request] = {}  # in order of arrival
        self._current: int | None = None
        self._work: Generator[list[Event] | None, None, None] | None = None
        self._next_id = 0

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""
        return self._work is not None or bool(self._waiting)

    def add(self, request: Request) -> int:
        """Queue a source.

        Returns:
            The id that its events carry.

        Raises:
            RequestError: there are no source pieces, or ids outside the vocabulary; the length
                limit is above `MAX_LENGTH`, or prefix or constraints exceed it.
        """
        if not request.src:
            raise RequestError("source: it has no pieces. Leave the text out if it is blank.")
        check_ids(request, self._vocab_size)
        check_room(request.options, len(request.src), MAX_LENGTH)
        check_phrases(request)
        id, self._next_id = self._next_id, self._next_id + 1
        self._waiting[id] = request
        return id

    def cancel(self, id: int) -> None:
        """Drop a source, waiting or in work: it has no more events. No effect once finished."""
        if id == self._current:
            self._end()
        self._waiting.pop(id, None)

    @torch.inference_mode()
    def step(self) -> list[Event]:
        """Encode one more chunk, or extend the hypotheses by one piece; and return the events.

        Each id ends in exactly one `Finished`, unless it is cancelled, or is `Refused` because
        there is too little memory for it.
        """
        if self._work is None:
            if not self._waiting:
                return []
            self._current = next(iter(self._waiting))
            self._work = self._searched(self._current, self._waiting.pop(self._current))
        assert self._current is not None
        id, refusal = self._current, None
        try:
            events = next(self._work) or []
        except RequestError as error:
            refusal = error.with_traceback(None)
        except Exception as error:
            self._end()
            if not is_out_of_memory(error):
                raise
            refusal = RequestError(
                "memory ran out in the middle of it. Shorten the text, or free memory.",
                field="source",
            )
        if refusal is not None:
            events = [Refused(id, refusal)]
        if any(isinstance(event, Finished | Refused) for event in events):
            self._end()
        return events

    def _end(self) -> None:
        """Forget the source in work, and so free all that it holds."""
        if self._work is not None:
            self._work.close()
        self._current = self._work = None

    def _searched(self, id: int, request: Request) -> Generator[list[Event] | None, None, None]:
        """The work on one source, which stops after every chunk and every step.

        Raises:
            RequestError: there is too little memory. Nothing has been taken then.
        """
        network, pieces = self._network, len(request.src) + 1
        need = bytes_needed(network.config, pieces, network.dtype, self._chunk, request.options)
        check_memory(need, pieces, available_bytes(network.device))
        src = sent(torch.tensor((*request.src, EOS_ID)), network.device)
        memory = yield from network.encode_in_chunks(src, self._chunk)
        search, sentence = self._begun(id, request, memory)
        del memory
        while True:
            over = search.extend([sentence])[0]
            sentence.length += 1
            events = search.slots.progress_events([None if over else sentence])
            if over:
                events.append(Finished(id, search.slots.finish(0, sentence)))
            yield events

    def _begun(self, id: int, request: Request, memory: Memory) -> tuple[TorchSearch, Sentence]:
        """The search in an encoded source, before its first step, and its only sentence."""
        options, network = request.options, self._network
        limit = length_limit(options, len(request.src))
        bank = Encoded(
            Memory(*(field[0] for field in memory)),
            DecoderState(*(field[0] for field in network.start(memory))),
        )
        # What is told about the attention leaves a length piece in front, and EOS, aside.
        first = sum(piece in request.uncopied for piece in request.src[:1])
        ruled = bool(options.coverage_beta) or request.source_words is not None
        slots = Slots(
            count=1,
            beam_size=options.beam_size,
            steps=limit + 1,
            source=len(request.src) + 1,
            continues=self._continues,
            words=self._words,
            places=slice(first, len(request.src)),
            ruled_source=len(request.src) + 1 if ruled else 0,
        )
        if 0 < options.attention_span < len(request.src):
            network = network.attending_to(memory, options.attention_span)
        search = TorchSearch(network, slots, self._shortlist, StepLaunch(), bank)
        sentence = Sentence(id, request, limit, has_rules(request))
        search.admit(0, sentence, bank)
        return search, sentence
