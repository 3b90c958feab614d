"""Tracer: shows what happens inside the network while it translates a sentence.

A thread of its own computes one trace at a time, with the weights as they were loaded: in fp32 and
on the CPU. The engine thread goes on meanwhile, and shares at most a core with it.
"""

import asyncio
import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from model.decoding.options import SearchOptions, length_limit
from model.errors import RequestError
from model.network.seq2seq import Seq2Seq
from model.text.segmentation import Segmenter
from model.text.tokenizer import Tokenizer
from model.translation.assemble import TextHypothesis, prepare
from model.translation.phrases import Phrases
from model.translation.text_trace import TextTrace, text_trace, traced_source
from service.errors import ShuttingDown

MAX_PIECES = 64
"""The most pieces of a text that is traced, and of its translation."""

T = TypeVar("T")


class Tracer:
    """Traces sentences for the requests of one worker. Used only on event loops."""

    def __init__(
        self, network: Seq2Seq, tokenizer: Tokenizer, segmenter: Segmenter, phrases: Phrases
    ) -> None:
        """`network` is that of a checkpoint, in fp32 on the CPU."""
        self._network, self._tokenizer = network, tokenizer
        self._segmenter, self._phrases = segmenter, phrases
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trace")

    async def source(self, text: str, options: SearchOptions) -> tuple[int, ...]:
        """Return the pieces of the text.

        Raises:
            RequestError: it is too long, or not a single sentence, or cannot be translated with
                these options.
            ShuttingDown: `stop` was called.
        """

        def pieces() -> tuple[int, ...]:
            src = traced_source(prepare(text, options, self._segmenter, self._phrases))
            if len(src) > MAX_PIECES:
                raise RequestError(
                    f"it has {len(src)} pieces, but at most {MAX_PIECES} can be traced. Give a "
                    "shorter sentence.",
                    field="text",
                )
            return src

        return await self._run(pieces)

    async def trace(self, src: tuple[int, ...], best: TextHypothesis) -> TextTrace:
        """Trace the pieces of a source, and the best hypothesis for it.

        Raises:
            ShuttingDown: `stop` was called.
        """
        return await self._run(lambda: text_trace(self._network, self._tokenizer, src, best))

    def stop(self) -> None:
        """Refuse new work, and let the thread end after what it has."""
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            found = self._thread.submit(work)
        except RuntimeError:  # stopped
            raise ShuttingDown from None
        return await asyncio.wrap_future(found)


def traced_options(options: SearchOptions, source: int) -> SearchOptions:
    """Return `options` for a source of so many pieces, with an answer that is short enough."""
    limit = min(length_limit(options, source), MAX_PIECES)
    return dataclasses.replace(options, max_length_a=0.0, max_length_b=limit)
