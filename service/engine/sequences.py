"""Sequences: what stands between the sequences of a request and the engine, by kind of output."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from model.checkpoint.checkpoint import Checkpoint
from model.config import MOST, to_dict
from model.decoding.beam_search import Hypothesis
from model.decoding.engine import check_room, room_for
from model.decoding.options import SearchOptions, length_limit
from model.decoding.request import Request
from model.decoding.symbol_options import TEXT_OPTIONS
from model.errors import RequestError
from model.translation.assemble import Translation
from model.translation.sides import make_source, make_target
from model.vectors.vector_target import VectorTarget
from service.engine.request_params import RequestParams

MAX_NUMBERS = 65_536
"""The most numbers in the vectors of one request: parsing them holds up others for some 20 ms."""

BYTES_PER_NUMBER = 20
"""Rough size of a number in an answer."""

Answer = Translation | NDArray[np.float64]
"""What comes out for a sequence: a line with its scores, or vectors (T, W)."""
Prepared = tuple[Request, Callable[[Sequence[Hypothesis]], Answer]] | Answer
"""A request for the engine and what makes the answer of its hypotheses; or the answer itself."""


class LineOutput:
    """Of a model that writes symbols, or text from vectors."""

    window: ClassVar[None] = None
    """It does not forecast series."""

    def __init__(self, checkpoint: Checkpoint, options: SearchOptions) -> None:
        """
        Args:
            options: the defaults. They determine how much room there is for other options.

        Raises:
            RequestError: see `check`.
        """
        self.options, self.width = options, checkpoint.config.source_width
        self.longest = checkpoint.config.max_length
        self.room = room_for(options, self.longest)
        self._source = make_source(checkpoint.network, checkpoint.reads, self.longest)
        self._target = make_target(checkpoint.lines)
        self.name, self.field = self._target.name, self._source.field
        self.check(options)

    @property
    def defaults(self) -> dict[str, object]:
        """The options that a request may have, with their defaults."""
        known = to_dict(self.options)
        return {name: value for name, value in known.items() if name not in TEXT_OPTIONS}

    def check(self, options: SearchOptions) -> None:
        """Check that sources of any length can be searched with `options`.

        Raises:
            RequestError: they allow more symbols than there is room for, or are for text only.
        """
        self._target.check(options)
        check_room(options, self.longest, self.room)

    def answer_bytes(self, steps: Sequence[int], params: RequestParams) -> int:
        """A rough estimate of the size of an answer, from the lengths of the sources."""
        details = params.details
        each = 4 + 30 * ("tokens" in details) + 8 * ("alignment" in details)
        size = 0
        for source in steps:
            target = min(length_limit(params.options, source), 2 * source + 10)
            size += target * each + 20 * ("attention" in details) * target * source
        return params.options.n_best * size

    def prepare(self, sequence: object, options: SearchOptions) -> Prepared:
        """Make the request for a line or a sequence of vectors.

        Raises:
            RequestError: it cannot be read; see `LineSource` and `VectorSource`.
        """
        ready = self._source.prepared(sequence, options)
        if isinstance(ready, Translation):
            return ready
        pieces = self._source.shown(ready)
        return ready, lambda found: self._target.result(found, pieces)


class VectorOutput:
    """Of a model that writes vectors, which has no search and so no options."""

    name: ClassVar[str] = "vectors"
    """What an answer calls it."""

    def __init__(self, checkpoint: Checkpoint, options: SearchOptions) -> None:
        """`options` are taken from the network instead: as many steps as it has to make."""
        form, self.width = checkpoint.vectors, checkpoint.config.source_width
        self.options, self.window = form.search, form.window
        self.longest = max(1, min(MOST["max_length"], MAX_NUMBERS // (self.width or 1)))
        self.room = form.steps or self.longest
        self._steps, self._target_width = form.steps, checkpoint.config.target_width
        self._source = make_source(checkpoint.network, checkpoint.reads, self.longest, form.window)
        self.field = self._source.field
        self._target = VectorTarget(checkpoint.network, form)

    @property
    def defaults(self) -> dict[str, object]:
        """None: there is no search."""
        return {}

    def check(self, options: SearchOptions) -> None:
        """Do nothing: there is no search."""

    def answer_bytes(self, steps: Sequence[int], params: RequestParams) -> int:
        """A rough estimate of the size of an answer, from the lengths of the sources."""
        outputs = sum(self._steps or source for source in steps)
        return BYTES_PER_NUMBER * self._target_width * outputs

    def prepare(self, sequence: object, options: SearchOptions) -> Prepared:
        """Make the request for a sequence of vectors, or for a line.

        Raises:
            RequestError: it cannot be read; see `VectorSource` and `LineSource`.
        """
        read = self._source.read(sequence)
        request = self._source.request(self._target.scaled(read), options)

        def finished(found: Sequence[Hypothesis]) -> Answer:
            (best,) = found
            assert best.vectors is not None, "a network that writes vectors"
            restored = self._target.restored(best.vectors, read)
            if not np.isfinite(restored).all():
                raise RequestError(
                    "the output is not finite. Give numbers nearer to those of the training."
                )
            return restored

        return request, finished
