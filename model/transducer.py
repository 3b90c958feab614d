"""Transducer: the Python API for models of symbols, from lines to lines through the decode loop.

Transducer.load("runs/g2p").transduce(["dragoman"])[0].text
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.beam_search import Hypothesis
from model.decoding.engine import Engine, check_room, room_for
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import resolve_device, resolve_precision, runnable
from model.decoding.request import Finished, Request
from model.decoding.shared_engine import SharedEngine
from model.decoding.symbol_options import check_symbol_options
from model.errors import InputTooLong, RequestError
from model.network.seq2seq import Seq2Seq
from model.text.symbols import Symbols
from model.translation.alignment import hard
from model.translation.assemble import TextHypothesis, Translation, list_of_texts
from model.translation.ensemble import network_of
from model.translator import WINDOW, windows


class Transducer:
    """A network, its symbols and its search options, ready to transduce.

    A line is cut into symbols, and read whole. What comes out has the form of a `Translation`: each
    symbol is a piece, and is a word of its own where links of words are told. A blank line comes
    back unchanged. Safe to use from several threads, whose lines are then searched together; what
    is found for a line does not depend on the others.
    """

    def __init__(
        self,
        network: Seq2Seq,
        symbols: Symbols,
        search: SearchOptions,
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """
        Args:
            network: in eval mode. It is not changed.
            search: options for lines without their own. They also determine how much room there
                is for lines with their own.

        Raises:
            RequestError: see `check`.
        """
        self.symbols = symbols
        self.options = search
        self._limit = network.config.max_length
        self._room = room_for(search, self._limit)
        self._engine = SharedEngine(
            Engine(runnable(network, dtype, device), max_source=self._limit, max_length=self._room)
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
        symbols, network = checkpoints[0].symbols, network_of(checkpoints)
        dtype = resolve_precision(precision, place, network)
        return cls(network, symbols, checkpoints[0].search, device=place, dtype=dtype)

    def transduce(
        self, lines: Sequence[str], options: SearchOptions | None = None
    ) -> list[Translation]:
        """All that the search found for each line, in their order.

        Raises:
            RequestError: see `check` and `list_of_texts`; a line has an unknown symbol, which is
                named, or too many symbols.
        """
        chosen = self.options if options is None else options
        given = list_of_texts(lines, "lines")
        self.check(chosen)
        found: list[Translation] = []
        for window in windows(given, WINDOW):
            for each in self.search_each([(line, chosen) for line in window]):
                if isinstance(each, RequestError):
                    each.field = each.field or f"lines[{len(found)}]"
                    raise each
                found.append(each)
        return found

    def check(self, options: SearchOptions) -> None:
        """Check that lines of any length can be searched with `options`.

        Raises:
            RequestError: they allow more target symbols than the engine has room for, or ask for
                what only text has.
        """
        check_symbol_options(options)
        check_room(options, self._limit, self._room)

    def search_each(
        self,
        items: Sequence[tuple[str, SearchOptions]],
        advance: Callable[[int], None] = lambda count: None,
    ) -> list[Translation | RequestError]:
        """Search for lines, each with its own options, that are searched together.

        An error takes the place of a line with an unknown symbol, or too many.

        Args:
            advance: called with the number of lines just finished.
        """
        results: dict[int, Translation | RequestError] = {}
        requests: dict[int, Request] = {}
        for number, (line, options) in enumerate(items):
            if not line.strip():
                results[number] = _unchanged(line)
                continue
            try:
                requests[number] = Request(src=self._ids(line), options=options)
            except RequestError as error:
                results[number] = error
        advance(len(results))
        # Longest first, so that the last ones in flight are short.
        order = sorted(requests, key=lambda number: len(requests[number].src), reverse=True)
        with closing(self._engine.search([requests[number] for number in order])) as events:
            for place, event in events:
                assert isinstance(event, Finished)
                number = order[place]
                results[number] = self._transduced(requests[number], event.hypotheses)
                advance(1)
        return [results[number] for number in range(len(items))]

    def _ids(self, line: str) -> tuple[int, ...]:
        ids = self.symbols.source.encode_known(line)
        if len(ids) > self._limit:
            raise InputTooLong(
                f"{len(ids):,} symbols, but the model reads at most {self._limit:,} "
                "(model.max_length). Shorten the line, or divide it."
            )
        return tuple(ids)

    def _transduced(self, request: Request, found: Sequence[Hypothesis]) -> Translation:
        return Translation(
            hypotheses=tuple(map(self._hypothesis, found)),
            source_pieces=tuple(map(self.symbols.piece, request.src)),
        )

    def _hypothesis(self, found: Hypothesis) -> TextHypothesis:
        links = hard(found.weights[:-1, :-1])  # without EOS on either side
        return TextHypothesis(
            translation=self.symbols.target.decode(found.pieces),
            score=found.score,
            log_prob=found.log_prob,
            mean_log_prob=found.log_prob / len(found.token_log_probs),
            pieces=tuple(map(self.symbols.piece, found.pieces)),
            alignment=links,
            token_log_probs=found.token_log_probs[:-1],
            word_alignment=links,
            word_sources=(),
            truncated=found.truncated,
            weights=found.weights,
        )


def _unchanged(line: str) -> Translation:
    """The result for a blank line."""
    blank = TextHypothesis(
        translation=line,
        score=0.0,
        log_prob=0.0,
        mean_log_prob=0.0,
        pieces=(),
        alignment=(),
        token_log_probs=(),
        word_alignment=(),
        word_sources=(),
        truncated=False,
        weights=None,
    )
    return Translation(hypotheses=(blank,), source_pieces=())
