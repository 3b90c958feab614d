"""Engine: the only decode loop. Sentences join at any time and leave when they are finished.

It is synchronous and knows nothing of threads, files or HTTP. A corpus is translated by filling it
at the start, a service fills it over time, and greedy search is `beam_size` 1.
"""

import gc
import logging

import torch
from torch import Tensor

from model.decoding.cuda.launch import StepLaunch, launch_for
from model.decoding.lane import Lane, Unfinished
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.native.network import NativeEncoded, NativeNetwork
from model.decoding.native.search import NativeSearch
from model.decoding.options import SearchOptions, length_limit
from model.decoding.out_of_memory import is_out_of_memory
from model.decoding.precision.precision import Runnable, runnable
from model.decoding.request import Event, Finished, Progress, Request
from model.decoding.rules.constraints import MAX_PIECES
from model.decoding.rules.word_limits import PieceWords
from model.decoding.state.slots import Slots
from model.decoding.torch.encode import Encoded, padded_length
from model.decoding.torch.torch_search import TorchSearch
from model.decoding.torch.vector_search import VectorSearch
from model.errors import ConfigError, RequestError
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import PAD_ID

__all__ = ["Engine", "Event", "Finished", "Progress", "Request"]

_log = logging.getLogger(__name__)

MAX_LENGTH = 10_000
"""Most target pieces that options may make an engine allow for: its buffers grow with them."""


def room_for(options: SearchOptions, max_source: int) -> int:
    """The `max_length` of an engine for these options and sources of up to `max_source` pieces.

    At least what the default options need, for requests that bring their own options. Otherwise at
    most `MAX_LENGTH`, so that `check_room` refuses options that need more memory than there is.
    """
    wanted = min(length_limit(options, max_source), MAX_LENGTH)
    return max(wanted, length_limit(SearchOptions(), max_source))


def check_room(options: SearchOptions, source_length: int, room: int) -> None:
    """Check that a source of `source_length` pieces gives no more than `room` pieces.

    Raises:
        RequestError: the options allow more.
    """
    limit = length_limit(options, source_length)
    if limit > room:
        raise RequestError(
            f"max_length_a, max_length_b: they allow {limit} pieces for a source of "
            f"{source_length}, but there is room for {room}. Lower one of them."
        )


def check_phrases(request: Request) -> None:
    """Check that the pieces that a request demands fit within its length limit.

    Raises:
        RequestError: they do not.
    """
    limit = length_limit(request.options, len(request.src))
    constrained = sum(map(len, request.constraints))
    if constrained > MAX_PIECES:
        raise RequestError(
            f"constraints: they have {constrained} pieces, but at most {MAX_PIECES} can be "
            f"demanded of one translation. Leave some out."
        )
    for name, count in (("prefix", len(request.prefix)), ("constraints", constrained)):
        if count > limit:
            raise RequestError(
                f"{name}: {count} pieces, but the translation of a source of {len(request.src)} "
                f"may have {limit}. Shorten {name} or raise max_length_b."
            )
    if len(request.prefix) + constrained > limit:
        raise RequestError(
            f"prefix, constraints: {len(request.prefix) + constrained} pieces together, but the "
            f"translation of a source of {len(request.src)} may have {limit}. Raise max_length_b."
        )


def check_ids(request: Request, vocab_size: int) -> None:
    """Check that ids are in the vocabulary: compiled kernels would read beyond their arrays.

    Raises:
        RequestError: one is not.
    """
    given = {
        "source": request.src,
        "prefix": request.prefix,
        "constraints": [id for phrase in request.constraints for id in phrase],
    }
    for name, ids in given.items():
        for id in ids:
            if not 0 <= id < vocab_size:
                raise RequestError(
                    f"{name}: {id} is no piece; the vocabulary has {vocab_size}, from 0. "
                    f"Tokenize with the tokenizer of this model."
                )


AnyLane = Lane[Encoded] | Lane[NativeEncoded]


def make_lane(
    network: Runnable, slots: Slots, shortlist: Shortlist | None, launch: StepLaunch
) -> AnyLane:
    """A lane with the search that runs `network`."""
    ahead = launch.encode_ahead
    if isinstance(network, NativeNetwork):
        return Lane(NativeSearch(network, slots, shortlist), encode_ahead=ahead)
    return Lane(TorchSearch(network, slots, shortlist, launch), encode_ahead=ahead)


class Engine:
    """Searches for many sentences at once, each with its own options and as if it were alone."""

    def __init__(
        self,
        network: Runnable,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        max_rows: int = 160,
        max_source: int | None = None,
        max_length: int | None = None,
        continues: Tensor | None = None,
        words: PieceWords | None = None,
        shortlist: Shortlist | None = None,
        launch: StepLaunch | None = None,
    ) -> None:
        """
        Args:
            network: in eval mode; it is not changed, but laid out for inference, see `runnable`.
                One that is already laid out is used directly.
            device, dtype: where and in what precision to compute; those of the network if None.
            max_rows: hypotheses in flight for each beam size in use: `max_rows // beam_size`
                sentences, at least one.
            max_source: most source pieces of a sentence, without EOS; those that the network was
                made for (`config.max_length`) if None.
            max_length: most target pieces that options may allow a sentence, see `room_for`; those
                that the default options allow if None. Memory grows with the product of the two.
            continues: (V,) bool, whether a piece continues the word before it, so that a constraint
                ends where its word ends; none does if None.
            words: which pieces begin a word, for limits of words; all do if None.
            shortlist: if given, translations consist only of pieces that it lists for the source.
            launch: how steps are launched; `launch_for` the device if None.

        Raises:
            ConfigError: int8 or a shortlist is asked for with an ensemble.
        """
        self.max_source = max_source or network.config.max_length
        self.max_length = max_length or room_for(SearchOptions(), self.max_source)
        if isinstance(network, Seq2Seq):
            assert not network.training, "call eval() first: dropout would change every translation"
            dtype = dtype or network.output.weight.dtype
        self._network = runnable(network, dtype or torch.float32, device)
        if shortlist is not None and isinstance(self._network, Seq2Seq):
            raise ConfigError("a shortlist is not there for an ensemble. Leave it out.")
        self._shortlist = shortlist
        self._launch = launch or launch_for(torch.device(self._network.device))
        self._max_rows = max_rows
        self._vocab_size = network.config.vocab_size
        none = torch.zeros(self._vocab_size, dtype=torch.bool)
        self._continues = (none if continues is None else continues).to(self._network.device)
        words = PieceWords.one_each(self._vocab_size) if words is None else words
        self._words = words.to(self._network.device)
        self._lanes: dict[int, AnyLane] = {}
        self._displaced: dict[int, list[Unfinished]] = {}  # by beam size: see `_step_lane`
        self._next_id = 0

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""
        return bool(self._displaced) or any(lane.busy for lane in self._lanes.values())

    def add(self, request: Request) -> int:
        """Queue a sentence for a free slot. Within a beam size, first come, first served.

        Returns:
            The id that its events carry.

        Raises:
            RequestError: there are no source pieces, too many of them, or ids outside the
                vocabulary; the length limit is too high, or prefix or constraints exceed it.
        """
        length = len(request.src)
        if not 1 <= length <= self.max_source:
            raise RequestError(
                f"source: {length} pieces, but this engine takes 1 to {self.max_source}. "
                f"Split the text, or leave it out if it is blank."
            )
        check_ids(request, self._vocab_size)
        check_room(request.options, length, self.max_length)
        check_phrases(request)
        id, self._next_id = self._next_id, self._next_id + 1
        self._lane(request.options.beam_size).waiting.add(id, request)
        return id

    def cancel(self, id: int) -> None:
        """Drop a sentence, waiting or in flight: it has no more events. No effect once finished."""
        for lane in self._lanes.values():
            if lane.cancel(id):
                return
        for beam_size, displaced in list(self._displaced.items()):
            self._displaced[beam_size] = [one for one in displaced if one.id != id]

    @torch.inference_mode()
    def step(self) -> list[Event]:
        """Add waiting sentences, extend all in flight by one piece, and return the events.

        Each id ends in exactly one `Finished`, unless it is cancelled. If memory runs out, a lane
        goes on with half of its slots; the sentences that were in flight start over.

        Raises:
            RuntimeError, MemoryError: memory ran out for a single sentence. No sentence is lost:
                the next step tries again.
        """
        self._reassign()
        events: list[Event] = []
        for beam_size in list(self._lanes):
            if beam_size in self._lanes:  # unless it was idle and made room for another
                events += self._step_lane(beam_size)
        return events

    def _step_lane(self, beam_size: int) -> list[Event]:
        """Step one lane; if there is no memory for that, only replace it by a smaller lane."""
        lane = self._lanes[beam_size]
        try:
            return lane.step()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._displaced[beam_size] = lane.unfinished()
            del self._lanes[beam_size]
            if lane.slots == 1:
                raise
        # Outside of the handler, since the traceback keeps the buffers alive that are to be freed.
        self._halve(lane.slots, beam_size)
        del lane
        self._free()
        self._reassign()
        return []

    def _reassign(self) -> None:
        """Move the sentences whose lane was dropped to a new lane."""
        for beam_size in list(self._displaced):
            lane = self._lane(beam_size)  # if this raises, they stay displaced
            lane.take(self._displaced.pop(beam_size))

    @torch.inference_mode()
    def _lane(self, beam_size: int) -> AnyLane:
        """The lane of a beam size, made when first needed; it then replaces idle ones."""
        if beam_size not in self._lanes:
            self._lanes = {size: lane for size, lane in self._lanes.items() if lane.busy}
            self._lanes[beam_size] = self._new_lane(beam_size)
        return self._lanes[beam_size]

    def _new_lane(self, beam_size: int) -> AnyLane:
        """Make a lane with `max_rows // beam_size` slots, or as many as there is memory for."""
        while True:
            count = max(1, self._max_rows // beam_size)
            try:
                if self._network.config.target_width:
                    return self._vector_lane(count)
                slots = Slots(
                    count=count,
                    beam_size=beam_size,
                    steps=self.max_length + 1,
                    source=padded_length((PAD_ID,) * self.max_source),
                    continues=self._continues,
                    words=self._words,
                )
                return make_lane(self._network, slots, self._shortlist, self._launch)
            except Exception as error:
                if not is_out_of_memory(error) or count == 1:
                    raise
            self._halve(count, beam_size)
            self._free()

    def _vector_lane(self, count: int) -> AnyLane:
        """A lane with `count` slots for a network that gives vectors."""
        assert isinstance(self._network, Seq2Seq), "see `runnable`"
        search = VectorSearch(
            self._network,
            count=count,
            steps=self.max_length,
            source=padded_length((PAD_ID,) * self.max_source),
        )
        return Lane(search, encode_ahead=self._launch.encode_ahead)

    def _halve(self, count: int, beam_size: int) -> None:
        """Give lanes made from now on half the rows of one with `count` slots."""
        self._max_rows = count // 2 * beam_size
        _log.warning(
            "out of memory with %d sentences in flight at beam size %d: going on with %d",
            count,
            beam_size,
            count // 2,
        )

    def _free(self) -> None:
        """Release unused memory, so that it can be allocated in other sizes."""
        gc.collect()
        if self._continues.is_cuda:
            torch.cuda.empty_cache()
