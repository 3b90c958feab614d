"""Translator: text in, translations out, over the decode loop. This is the Python API.

Translator.load("runs/demo").translate(["Am 3. Mai hat Anna Geburtstag."])
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.beam_search import Hypothesis
from model.decoding.engine import Engine, check_room, room_for
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import resolve_device, resolve_precision
from model.decoding.request import Finished, Request
from model.errors import RequestError
from model.network.seq2seq import Seq2Seq
from model.text.profile import TextProfile
from model.text.segmentation import Segmenter
from model.text.tokenizer import Tokenizer
from model.translation.assemble import (
    Prepared,
    Translation,
    assemble,
    check_languages,
    list_of_texts,
    prepare,
)
from model.translation.ensemble import network_of, shortlist_of
from model.translation.mbr import Utility, candidate_options, choose, chrf
from model.translation.phrases import Phrases

WINDOW = 4096
"""Texts that are sorted by length and searched together: many to keep the engine full, few enough
that a corpus of any size is translated in the same memory."""

SHORTEST_LIMIT = 16
"""The limit of a model that was trained on even shorter lines, because cutting needs some room."""

Item = TypeVar("Item")


class Translator:
    """A network, its tokenizer and its search options, ready to translate.

    A text is cut into lines and sentences, see `model.text.segmentation`; their translations are
    joined with the white space that was between them. What has no words comes back as it is. Not
    for several threads at once.
    """

    def __init__(
        self,
        network: Seq2Seq,
        tokenizer: Tokenizer,
        search: SearchOptions,
        *,
        device: torch.device,
        dtype: torch.dtype,
        profile: TextProfile | None = None,
        shortlist: Shortlist | None = None,
    ) -> None:
        """
        Args:
            network: in eval mode. It is left as it is.
            profile: what the model does with text; None is that of old checkpoints.
            search: the options of texts that come without. They also decide how much room there is
                for those that come with their own.

        Raises:
            RequestError: see `check`.
        """
        self.tokenizer = tokenizer
        self.options = search
        self.profile = TextProfile() if profile is None else profile
        self._phrases = Phrases(tokenizer)
        self._limit = max(network.config.max_length, SHORTEST_LIMIT)
        self._segmenter = Segmenter(tokenizer, self._limit, self.profile)
        self._engine = Engine(
            network,
            device=device,
            dtype=dtype,
            max_source=self._limit,
            max_length=room_for(search, self._limit),
            continues=self._phrases.spelling.continues,
            shortlist=shortlist,
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
        shortlist: bool = False,
    ) -> "Translator":
        """The translator of a run (its best checkpoint) or of a checkpoint directory.

        Args:
            path: several are an ensemble, see `model.translation.ensemble`; the search options are
            those of
                the first.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            precision: of matrix products; `auto` is the fastest here, see `resolve_precision`.
            threads: CPU threads of torch, for the whole process; None leaves them as they are.
            shortlist: score only the pieces that the checkpoint names for a source.

        Raises:
            CheckpointError: there is no checkpoint, or it is damaged or too new.
            ConfigError: no such device or precision, no shortlist, or an ensemble without a common
                tokenizer, with a shortlist or in int8.
        """
        place = resolve_device(device)
        if threads is not None:
            torch.set_num_threads(threads)
        paths = [path] if isinstance(path, str | Path) else path
        checkpoints = [load_checkpoint(Path(one)) for one in paths]
        network, first = network_of(checkpoints), checkpoints[0]
        dtype = resolve_precision(precision, place, network)
        return cls(
            network,
            first.tokenizer,
            first.search,
            device=place,
            dtype=dtype,
            profile=first.profile,
            shortlist=shortlist_of(checkpoints, shortlist),
        )

    def translate(self, texts: Sequence[str], options: SearchOptions | None = None) -> list[str]:
        """The best translation of each text, in their order.

        Raises:
            RequestError: see `check` and `list_of_texts`.
        """
        return [translation.text for translation in self._translations(texts, options)]

    def search(
        self, texts: Sequence[str], options: SearchOptions | None = None
    ) -> list[Translation]:
        """Everything that the search found for each text, in their order.

        Raises:
            RequestError: see `check` and `list_of_texts`.
        """
        return list(self._translations(texts, options))

    def check(self, options: SearchOptions) -> None:
        """Make sure that texts can be searched with `options`, however long they are.

        Raises:
            RequestError: they allow more target pieces than the engine has room for, have phrases
                that this model cannot demand or avoid, or ask for other languages than its own.
        """
        check_languages(options, self.profile)
        check_room(options, self._limit, self._engine.max_length)
        self._phrases.check(options)

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
            RequestError: see `search_each`; the first one that fails is told.
        """
        return _all_found(self.search_each(items, advance))

    def search_each(
        self,
        items: Sequence[tuple[str, SearchOptions]],
        advance: Callable[[int], None] = lambda count: None,
        utility: Utility | None = None,
    ) -> list[Translation | RequestError]:
        """As `search_window`, but a text that cannot be translated stops no other.

        Its place has the error: see `check`; or the text is too short, or too long, for what its
        options demand, or nothing that meets them was found.

        Args:
            utility: if given, each text has the one translation that `mbr` chooses by it. Options
                that leave no choice are errors too.
        """
        prepared = [
            self._prepare(text, options, all_candidates=utility is not None)
            for text, options in items
        ]
        wanted = [[] if isinstance(p, RequestError) else p.requests for p in prepared]
        found = self._run(wanted, advance, utility)
        results: list[Translation | RequestError] = []
        for ready, hypotheses, (_, options) in zip(prepared, found, items, strict=True):
            try:
                if isinstance(ready, RequestError):
                    raise ready
                results.append(assemble(ready.plan, hypotheses, options.n_best, self.tokenizer))
            except RequestError as error:
                results.append(error)
        return results

    def mbr(
        self,
        texts: Sequence[str],
        options: SearchOptions | None = None,
        utility: Utility | None = None,
    ) -> list[Translation]:
        """The one translation of each text that is most like the others, by minimum Bayes risk.

        Candidates are all `beam_size` hypotheses, or samples, that are found for each part of a
        text; a sample counts as often as it was drawn. `utility` is chrF if None.

        Raises:
            RequestError: see `check` and `list_of_texts`; there is one candidate only, or `n_best`
                asks for several; or chrF is wanted, but sacrebleu is not installed.
        """
        chosen = self.options if options is None else options
        given = list_of_texts(texts)
        self.check(chosen)
        candidate_options(chosen)
        better = chrf() if utility is None else utility
        found: list[Translation] = []
        for window in windows(given, WINDOW):
            found += _all_found(
                self.search_each([(text, chosen) for text in window], utility=better)
            )
        return found

    def _prepare(
        self, text: str, options: SearchOptions, *, all_candidates: bool
    ) -> Prepared | RequestError:
        """How a text is cut and what the engine is asked for it, or why it is refused."""
        try:
            if all_candidates:
                options = candidate_options(options)
            return prepare(text, options, self._segmenter, self._phrases)
        except RequestError as error:
            return error

    def _translations(
        self, texts: Sequence[str], options: SearchOptions | None
    ) -> Iterator[Translation]:
        chosen = self.options if options is None else options
        given = list_of_texts(texts)
        self.check(chosen)
        for window in windows(given, WINDOW):
            yield from self.search_window([(text, chosen) for text in window])

    def _run(
        self,
        requests: Sequence[Sequence[Request]],
        advance: Callable[[int], None],
        utility: Utility | None,
    ) -> list[list[tuple[Hypothesis, ...]]]:
        """The hypotheses for the parts of each text, longest source first through the engine.

        By a utility one is chosen as soon as a part is done: a text counts when it has been, and
        no candidates pile up.
        """
        found: list[list[tuple[Hypothesis, ...]]] = [[()] * len(parts) for parts in requests]
        jobs = [(i, j) for i, parts in enumerate(requests) for j in range(len(parts))]
        jobs.sort(key=lambda job: len(requests[job[0]][job[1]].src), reverse=True)
        missing = Counter(i for i, _ in jobs)
        advance(len(requests) - len(missing))
        owner: dict[int, tuple[int, int]] = {}
        try:
            for i, j in jobs:
                owner[self._engine.add(requests[i][j])] = i, j
            while self._engine.busy:
                for event in self._engine.step():
                    if isinstance(event, Finished):
                        i, j = owner.pop(event.id)
                        found[i][j] = event.hypotheses
                        if utility is not None:
                            found[i][j] = choose(event.hypotheses, self.tokenizer, utility)
                        missing[i] -= 1
                        advance(int(missing[i] == 0))
        finally:
            for id in owner:  # an error or Ctrl-C must not leave work for the next call
                self._engine.cancel(id)
        return found


def _all_found(results: Sequence[Translation | RequestError]) -> list[Translation]:
    """The translations; the first error is raised."""
    found = []
    for result in results:
        if isinstance(result, RequestError):
            raise result
        found.append(result)
    return found


def windows(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`; the last may be shorter."""
    remaining = iter(items)
    while window := list(islice(remaining, size)):
        yield window
