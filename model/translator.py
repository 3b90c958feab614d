"""Translator: text in, translations out, over the decode loop. This is the Python API.

Translator.load("runs/demo").translate(["Am 3. Mai hat Anna Geburtstag."])
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

import torch

from model.checkpoint import load_checkpoint
from model.decoding.engine import Engine, check_room, room_for
from model.decoding.options import SearchOptions
from model.decoding.precision import resolve_device, resolve_precision
from model.decoding.request import Finished, Request
from model.decoding.search import Hypothesis
from model.errors import RequestError
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import Tokenizer
from model.translation import Translation, assemble, plan_sources, plan_text

WINDOW = 4096
"""Texts that are sorted by length and searched together: many to keep the engine full, few enough
that a corpus of any size is translated in the same memory."""

SHORTEST_LIMIT = 16
"""The limit of a model that was trained on even shorter lines, because cutting needs some room."""

Item = TypeVar("Item")


class Translator:
    """A network, its tokenizer and its search options, ready to translate.

    White space at the ends of a text is kept as it is, and so is a blank text. A text longer than
    the model's limit is cut at sentence ends or spaces, and its translated parts are joined with
    the white space that was between them. Not for several threads at once.
    """

    def __init__(
        self,
        network: Seq2Seq,
        tokenizer: Tokenizer,
        search: SearchOptions,
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """
        Args:
            network: in eval mode. It is left as it is: another device or dtype makes a copy.
            search: the options of texts that come without. They also decide how much room there is
                for those that come with their own.

        Raises:
            RequestError: see `check`.
        """
        self.tokenizer = tokenizer
        self.options = search
        self._limit = max(network.config.max_length, SHORTEST_LIMIT)
        self._engine = Engine(
            network,
            device=device,
            dtype=dtype,
            max_source=self._limit,
            max_length=room_for(search, self._limit),
        )
        self.check(search)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        device: str = "auto",
        precision: Literal["auto", "fp32", "bf16"] = "auto",
        threads: int | None = None,
    ) -> "Translator":
        """The translator of a run (its best checkpoint) or of a checkpoint directory.

        Args:
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            precision: of the network; `auto` is bf16 where the device computes in it.
            threads: CPU threads of torch, for the whole process; None leaves them as they are.

        Raises:
            CheckpointError: there is no checkpoint, or it is damaged or too new.
            ConfigError: no such device or precision.
        """
        place = resolve_device(device)
        dtype = resolve_precision(precision, place)
        if threads is not None:
            torch.set_num_threads(threads)
        checkpoint = load_checkpoint(Path(path))
        return cls(
            checkpoint.network, checkpoint.tokenizer, checkpoint.search, device=place, dtype=dtype
        )

    def translate(self, texts: Sequence[str], options: SearchOptions | None = None) -> list[str]:
        """The best translation of each text, in their order.

        Raises:
            RequestError: see `check`.
        """
        return [translation.text for translation in self._translations(texts, options)]

    def search(
        self, texts: Sequence[str], options: SearchOptions | None = None
    ) -> list[Translation]:
        """Everything that the search found for each text, in their order.

        Raises:
            RequestError: see `check`.
        """
        return list(self._translations(texts, options))

    def check(self, options: SearchOptions) -> None:
        """Make sure that every text can be searched with `options`, however long it is.

        Raises:
            RequestError: they allow more target pieces than the engine has room for.
        """
        check_room(options, self._limit, self._engine.max_length)

    def search_window(
        self,
        items: Sequence[tuple[str, SearchOptions]],
        advance: Callable[[int], None] = lambda count: None,
    ) -> list[Translation]:
        """The translations of texts, each with its options, that are searched together.

        Args:
            items: a window of a corpus. What comes out for one does not depend on the others.
            advance: called with the number of texts that have just been finished.

        Raises:
            RequestError: see `check`.
        """
        plans = [plan_text(text, self.tokenizer, self._limit) for text, _ in items]
        options = [options for _, options in items]
        found = self._run([plan_sources(plan) for plan in plans], options, advance)
        return [
            assemble(plan, hypotheses, one.n_best, self.tokenizer)
            for plan, hypotheses, one in zip(plans, found, options, strict=True)
        ]

    def _translations(
        self, texts: Sequence[str], options: SearchOptions | None
    ) -> Iterator[Translation]:
        if isinstance(texts, str):
            raise RequestError("texts: one text was given, but it must be a list. Use [text].")
        chosen = self.options if options is None else options
        self.check(chosen)
        for window in windows(texts, WINDOW):
            yield from self.search_window([(text, chosen) for text in window])

    def _run(
        self,
        sources: Sequence[Sequence[tuple[int, ...]]],
        options: Sequence[SearchOptions],
        advance: Callable[[int], None],
    ) -> list[list[tuple[Hypothesis, ...]]]:
        """The hypotheses for the sources of each text, longest source first through the engine."""
        found: list[list[tuple[Hypothesis, ...]]] = [[()] * len(parts) for parts in sources]
        jobs = [(i, j) for i, parts in enumerate(sources) for j in range(len(parts))]
        jobs.sort(key=lambda job: len(sources[job[0]][job[1]]), reverse=True)
        missing = Counter(i for i, _ in jobs)
        advance(len(sources) - len(missing))
        owner: dict[int, tuple[int, int]] = {}
        try:
            for i, j in jobs:
                owner[self._engine.add(Request(src=sources[i][j], options=options[i]))] = i, j
            while self._engine.busy:
                for event in self._engine.step():
                    if isinstance(event, Finished):
                        i, j = owner.pop(event.id)
                        found[i][j] = event.hypotheses
                        missing[i] -= 1
                        advance(int(missing[i] == 0))
        finally:
            for id in owner:  # an error or Ctrl-C must not leave work for the next call
                self._engine.cancel(id)
        return found


def windows(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`; the last may be shorter."""
    remaining = iter(items)
    while window := list(islice(remaining, size)):
        yield window
