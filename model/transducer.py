"""Transducer: the Python API for models that write lines, from lines of symbols or from vectors.

Transducer.load("runs/g2p").transduce(["dragoman"])[0].text
Transducer.load("runs/speech").transduce([frames])[0].text
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.engine import Engine, check_room, room_for
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import resolve_device, resolve_precision, runnable
from model.decoding.request import Finished, Request
from model.decoding.shared_engine import SharedEngine
from model.errors import RequestError
from model.network.seq2seq import Seq2Seq
from model.text.vocabulary import Vocabulary
from model.translation.assemble import Translation
from model.translation.ensemble import network_of
from model.translation.sides import make_source, make_target
from model.translator import WINDOW, windows

ROWS = 160
"""Hypotheses in flight, if sources are not very long."""
SLOT_STEPS = 2**18
"""Steps of sources, symbols or vectors, for which all of them have room together."""


class Transducer:
    """A network, its vocabulary and its search options, ready to transduce.

    A source is a line, cut into symbols, or a sequence of vectors, as the model was trained; it is
    read whole. What comes out has the form of a `Translation`: each symbol is a piece, and is a
    word of its own where links of words are told, as is each vector. A blank line comes back
    unchanged. Safe to use from several threads, whose sources are then searched together; what is
    found for a source does not depend on the others.
    """

    def __init__(
        self,
        network: Seq2Seq,
        lines: Vocabulary,
        search: SearchOptions,
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """
        Args:
            network: in eval mode. It is not changed.
            lines: its symbols, or, of a network from vectors to text, its tokenizer.
            search: options for sources without their own. They also determine how much room there
                is for those with their own.

        Raises:
            RequestError: see `check`.
        """
        self.vocabulary = lines
        self.options = search
        self._limit = network.config.max_length
        self._room = room_for(search, self._limit)
        self._source = make_source(network, lines, self._limit)
        self._target = make_target(lines)
        self._engine = SharedEngine(
            Engine(
                runnable(network, dtype, device),
                max_rows=max(1, min(ROWS, SLOT_STEPS // self._limit)),
                max_source=self._limit,
                max_length=self._room,
            )
        )
        self.check(search)

    @classmethod
    def load(
        cls,
        path: str | Path | Sequence[str | Path],
        *,
        device: str = "auto",
        precision: Literal["auto", "fp32", "bf16", "int8"] = "auto",
        threads: int | None = None,
    ) -> "Transducer":
        """Load a run (its best checkpoint), a checkpoint directory or a pack.

        Args:
            path: several make an ensemble, see `model.translation.ensemble`, with the search
                options of the first.
            device, precision, threads: as in `Translator.load`.

        Raises:
            CheckpointError: there is no checkpoint, it is damaged or too new, or a model of text.
            ConfigError: there is no such device or precision, or an ensemble has no common symbols,
                or int8.
        """
        place = resolve_device(device)
        if threads is not None:
            torch.set_num_threads(threads)
        paths = [path] if isinstance(path, str | Path) else path
        checkpoints = [load_checkpoint(Path(one)) for one in paths]
        lines, network = checkpoints[0].lines, network_of(checkpoints)
        dtype = resolve_precision(precision, place, network)
        return cls(network, lines, checkpoints[0].search, device=place, dtype=dtype)

    def transduce(
        self, sources: Sequence[object], options: SearchOptions | None = None
    ) -> list[Translation]:
        """All that the search found for each source, in their order.

        Args:
            sources: lines; or, if the model reads vectors, sequences (S, W) of them, each an array
                or lists of numbers.

        Raises:
            RequestError: see `check`, and `LineSource` or `VectorSource`.
        """
        chosen = self.options if options is None else options
        given = self._source.listed(sources)
        self.check(chosen)
        found: list[Translation] = []
        for window in windows(given, WINDOW):
            for each in self.search_each([(source, chosen) for source in window]):
                if isinstance(each, RequestError):
                    each.field = each.field or f"{self._source.name}[{len(found)}]"
                    raise each
                found.append(each)
        return found

    def check(self, options: SearchOptions) -> None:
        """Check that sources of any length can be searched with `options`.

        Raises:
            RequestError: they allow more steps of an output than the engine has room for, or ask
                for what only text has.
        """
        self._target.check(options)
        check_room(options, self._limit, self._room)

    def search_each(
        self,
        items: Sequence[tuple[object, SearchOptions]],
        advance: Callable[[int], None] = lambda count: None,
    ) -> list[Translation | RequestError]:
        """Search for sources, each with its own options, that are searched together.

        An error takes the place of a source that cannot be read.

        Args:
            advance: called with the number of sources just finished.
        """
        results: dict[int, Translation | RequestError] = {}
        requests: dict[int, Request] = {}
        for number, (source, options) in enumerate(items):
            try:
                prepared = self._source.prepared(source, options)
            except RequestError as error:
                results[number] = error
                continue
            if isinstance(prepared, Request):
                requests[number] = prepared
            else:
                results[number] = prepared
        advance(len(results))
        # Longest first, so that the last ones in flight are short.
        order = sorted(requests, key=lambda number: len(requests[number].src), reverse=True)
        with closing(self._engine.search([requests[number] for number in order])) as events:
            for place, event in events:
                assert isinstance(event, Finished)
                number = order[place]
                request = requests[number]
                results[number] = self._target.result(event.hypotheses, self._source.shown(request))
                advance(1)
        return [results[number] for number in range(len(items))]
