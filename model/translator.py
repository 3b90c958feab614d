"""Translator: the Python API, from texts to translations through the decode loop.

Translator.load("runs/demo").translate(["Am 3. Mai hat Anna Geburtstag."])
"""

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar, overload

import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.beam_search import Hypothesis
from model.decoding.engine import Engine, check_room, room_for
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.long_engine import LongEngine, long_network
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import cast, resolve_device, resolve_precision, runnable
from model.decoding.request import Progress, Refused
from model.decoding.shared_engine import SharedEngine
from model.errors import RequestError
from model.network.seq2seq import Seq2Seq
from model.text.profile import TextProfile
from model.text.segmentation import Segmenter
from model.text.tokenizer import Tokenizer
from model.translation.assemble import (
    Translation,
    assemble,
    check_languages,
    list_of_texts,
    prepare,
)
from model.translation.ensemble import network_of, shortlist_of
from model.translation.incremental_detokenizer import IncrementalDetokenizer
from model.translation.mbr import Utility, candidate_options, choose, chrf
from model.translation.pair_scores import PairScore, score_texts
from model.translation.phrases import Phrases
from model.translation.rounds import Answerable, Prepared, following
from model.translation.text_trace import TextTrace, text_trace, traced_source

WINDOW = 4096
"""Texts that are sorted by length and searched together: enough to keep the engine full, and few
enough that a corpus of any size is translated in constant memory."""

SHORTEST_LIMIT = 16
"""The limit for a model that was trained on even shorter lines: cutting needs some room."""

Item = TypeVar("Item")


class Translator:
    """A network, its tokenizer and its search options, ready to translate.

    A text is cut into lines and sentences, see `model.text.segmentation`; their translations are
    joined with the white space that was between them. Text without words is returned unchanged.
    Safe to use from several threads, whose texts are then searched together; what is found for a
    text does not depend on the others. Texts that are read whole, whatever their length, have an
    engine of their own, which is made for the first of them and searches for one at a time.
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
            network: in eval mode. It is not changed.
            profile: what the model does with text; None stands for that of old checkpoints.
            search: options for texts without their own. They also determine how much room there
                is for texts with their own.

        Raises:
            RequestError: see `check`.
        """
        self.tokenizer = tokenizer
        self.options = search
        self.profile = TextProfile() if profile is None else profile
        self._phrases = Phrases(tokenizer, self.profile.length_buckets)
        self._limit = max(network.config.max_length, SHORTEST_LIMIT)
        self._segmenter = Segmenter(tokenizer, self._limit, self.profile)
        self._room = room_for(search, self._limit)
        assert not network.training, "call eval() first: dropout would change every translation"
        self._prepared = runnable(network, dtype, device)
        self._shortlist = shortlist
        self._engine = SharedEngine(
            Engine(
                self._prepared,
                max_source=self._limit,
                max_length=self._room,
                continues=self._phrases.spelling.continues,
                words=self._phrases.spelling.words,
                shortlist=shortlist,
            )
        )
        self._long: SharedEngine | None = None  # for sources of any length; made when first needed
        self._making_long = threading.Lock()
        self._network, self._device = network, device
        self._scorer: Seq2Seq | None = None  # in fp32 on the device; made when first needed
        self._scoring = threading.Lock()  # guards it, and one batch at a time is enough memory
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
        """Load a run (its best checkpoint), a checkpoint directory, a pack or a model in the box.

        Args:
            path: or the name of a model in the box, such as `titles`; several make an ensemble, see
                `model.translation.ensemble`, with the search options of the first.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            precision: precision of matrix products; `auto` is the fastest, see `resolve_precision`.
            threads: CPU threads of torch, for the whole process; None leaves them unchanged.
            shortlist: score only the pieces that the checkpoint lists for a source.

        Raises:
            CheckpointError: there is no checkpoint, or it is damaged or too new.
            ConfigError: there is no such device, precision or shortlist, or an ensemble has no
                common tokenizer, a shortlist, or int8.
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

    # A str is a sequence of str, too: what is only known to be a sequence must be none.
    @overload
    def translate(  # type: ignore[overload-overlap]
        self, texts: str, options: SearchOptions | None = None
    ) -> str: ...

    @overload
    def translate(
        self, texts: Sequence[str], options: SearchOptions | None = None
    ) -> list[str]: ...

    def translate(
        self, texts: str | Sequence[str], options: SearchOptions | None = None
    ) -> str | list[str]:
        """The best translation of a text, or of each of several texts, in their order.

        Raises:
            RequestError: see `check` and `list_of_texts`.
        """
        several = [texts] if isinstance(texts, str) else texts
        found = [translation.text for translation in self._translations(several, options)]
        return found[0] if isinstance(texts, str) else found

    def search(
        self, texts: Sequence[str], options: SearchOptions | None = None
    ) -> list[Translation]:
        """All that the search found for each text, in their order.

        Raises:
            RequestError: see `check` and `list_of_texts`.
        """
        return list(self._translations(texts, options))

    def stream(
        self, text: str, options: SearchOptions | None = None
    ) -> Generator[str | Translation, None, None]:
        """Translate a text while the translation grows.

        Yields:
            Prefixes of the final translation, in whole words, each longer than the one before; and
            last, the `Translation`. Closing the generator ends the search. Of a text that is read
            in windows the last round is streamed; there are no prefixes with `best_windows`.

        Raises:
            RequestError: see `check` and `list_of_texts`; it is raised by the call itself unless
                nothing is found that meets the options, or they demand something impossible for
                what windows were summarized to.
        """
        chosen = self.options if options is None else options
        list_of_texts([text], "text")
        self.check(chosen)
        ready = prepare(text, chosen, self._segmenter, self._phrases)
        return self._stream(ready, chosen, self._engine_for(ready))

    def score(self, sources: Sequence[str], targets: Sequence[str]) -> list[PairScore]:
        """The probability of each target as a translation of the source at its place.

        It is computed in fp32, whatever the precision of the search. No text is cut.

        Raises:
            RequestError: see `list_of_texts`; or their numbers differ.
        """
        first, second = list_of_texts(sources, "sources"), list_of_texts(targets, "targets")
        if len(first) != len(second):
            raise RequestError(
                f"sources, targets: {len(first)} and {len(second)} were given. Give one target for "
                "each source."
            )
        with self._scoring:
            network = self._network_in_fp32()
            return score_texts(network, self.tokenizer, self.profile, first, second)

    def trace(self, text: str, options: SearchOptions | None = None) -> TextTrace:
        """Translate one sentence, and tell what happens in every layer of the network meanwhile.

        It is computed in fp32, whatever the precision of the search, and meant for looking at.

        Raises:
            RequestError: see `check`, `list_of_texts` and `traced_source`; or this is an ensemble.
        """
        if type(self._network) is not Seq2Seq:
            raise RequestError("an ensemble has several networks. Trace one of its models.")
        chosen = self.options if options is None else options
        list_of_texts([text], "text")
        self.check(chosen)
        src = traced_source(prepare(text, chosen, self._segmenter, self._phrases))
        (found,) = self.search([text], chosen)
        with self._scoring:
            network = self._network_in_fp32()
            return text_trace(network, self.tokenizer, src, found.hypotheses[0])

    def check(self, options: SearchOptions) -> None:
        """Check that texts of any length can be searched with `options`.

        Raises:
            RequestError: they allow more target pieces than the engine has room for, have phrases
                that this model cannot demand or avoid, or ask for languages that it lacks.
        """
        check_languages(options, self.profile)
        check_room(options, self._limit, self._room)
        self._phrases.check(options)

    def search_window(
        self,
        items: Sequence[tuple[str, SearchOptions]],
        advance: Callable[[int], None] = lambda count: None,
    ) -> list[Translation]:
        """Translate texts, each with its own options, that are searched together.

        Args:
            items: a window of a corpus. The result for one does not depend on the others.
            advance: called with the number of texts just finished.

        Raises:
            RequestError: see `search_each`; the error of the first text that failed.
        """
        return _all_found(self.search_each(items, advance))

    def search_each(
        self,
        items: Sequence[tuple[str, SearchOptions]],
        advance: Callable[[int], None] = lambda count: None,
        utility: Utility | None = None,
    ) -> list[Translation | RequestError]:
        """Search like `search_window`; a text that cannot be translated does not stop the others.

        Its error takes its place: see `check`; or the text is too short or too long for what its
        options demand, or nothing was found that meets them.

        Args:
            utility: if given, each text has the one translation that `mbr` chooses by it. Options
                that leave only one candidate are then errors, too.
        """
        results: dict[int, Translation | RequestError] = {}
        waiting: dict[int, Prepared] = {}
        for number, (text, options) in enumerate(items):
            ready = self._prepare(text, options, all_candidates=utility is not None)
            if isinstance(ready, RequestError):
                results[number] = ready
            else:
                waiting[number] = ready
        if results:
            advance(len(results))
        while waiting:  # each time the next round of those texts that take several
            found = self._run(list(waiting.values()), advance, utility)
            before, waiting = waiting, {}
            for (number, ready), hypotheses in zip(before.items(), found, strict=True):
                step = self._step(ready, hypotheses, items[number][1].n_best)
                if isinstance(step, Prepared):
                    waiting[number] = step
                    continue
                results[number] = step
                advance(int(ready.reading is not None))  # `_run` has told of the others
        return [results[number] for number in range(len(items))]

    def mbr(
        self,
        texts: Sequence[str],
        options: SearchOptions | None = None,
        utility: Utility | None = None,
    ) -> list[Translation]:
        """The translation of each text that is most like all candidates, by minimum Bayes risk.

        Candidates are all `beam_size` hypotheses, or samples, found for each part of a text; a
        sample counts as often as it was drawn. `utility` is chrF if None.

        Raises:
            RequestError: see `check` and `list_of_texts`; there is only one candidate, or `n_best`
                asks for several; or chrF is needed, but sacrebleu is not installed.
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

    def _network_in_fp32(self) -> Seq2Seq:
        """The network for what is not searched. `_scoring` is held."""
        if self._scorer is None:
            self._scorer = cast(self._network, torch.float32, self._device)
        return self._scorer

    def _prepare(
        self, text: str, options: SearchOptions, *, all_candidates: bool
    ) -> Prepared | RequestError:
        """The parts of a text and the requests for them, or the reason why it is refused."""
        try:
            if all_candidates:
                options = candidate_options(options)
            ready = prepare(text, options, self._segmenter, self._phrases)
            self._engine_for(ready)  # there may be none for it
            return ready
        except RequestError as error:
            return error

    def _step(
        self,
        ready: Prepared,
        found: Sequence[tuple[Hypothesis, ...]] | RequestError,
        n_best: int,
    ) -> Prepared | Translation | RequestError:
        """What follows a round: the next one, or the translation, or why there is none."""
        if isinstance(found, RequestError):
            return found
        try:
            step = following(ready, found, self._segmenter, self._phrases, self.tokenizer)
            if isinstance(step, Prepared):
                return step
            return assemble(step.plan, step.found, n_best, self.tokenizer)
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

    def _engine_for(self, ready: Prepared) -> SharedEngine:
        """The engine that searches for a text.

        Raises:
            RequestError: the text is longer than what the engine takes, and the model an ensemble.
        """
        if not ready.any_length:
            return self._engine
        with self._making_long:
            if self._long is None:
                self._long = SharedEngine(
                    LongEngine(
                        long_network(self._prepared, self._network),
                        continues=self._phrases.spelling.continues,
                        words=self._phrases.spelling.words,
                        shortlist=self._shortlist,
                    )
                )
            return self._long

    def _run(
        self,
        prepared: Sequence[Prepared],
        advance: Callable[[int], None],
        utility: Utility | None,
    ) -> list[list[tuple[Hypothesis, ...]] | RequestError]:
        """The hypotheses for the parts of each text, or why the engine refused it.

        The engine gets the longest sources first; those of any length are searched after all
        others. With a utility, one hypothesis is chosen as soon as a part is done, so that
        candidates do not pile up, and a text counts as finished only then. One that may take
        another round does not count.
        """
        parts = [ready.requests for ready in prepared]
        found: list[list[tuple[Hypothesis, ...]]] = [[()] * len(requests) for requests in parts]
        refused: dict[int, RequestError] = {}
        jobs = [(i, j) for i, requests in enumerate(parts) for j in range(len(requests))]
        jobs.sort(key=lambda job: len(parts[job[0]][job[1]].src), reverse=True)
        missing = Counter(i for i, _ in jobs)
        advance(len(parts) - len(missing))
        by_engine: dict[SharedEngine, list[tuple[int, int]]] = {self._engine: []}
        for i, j in jobs:
            by_engine.setdefault(self._engine_for(prepared[i]), []).append((i, j))
        for engine, some in by_engine.items():
            # Closed, since an error or Ctrl-C must leave no work to the next call.
            with closing(engine.search([parts[i][j] for i, j in some])) as events:
                for number, event in events:
                    i, j = some[number]
                    if isinstance(event, Progress):
                        continue
                    if isinstance(event, Refused):
                        refused[i] = event.error
                    elif utility is None:
                        found[i][j] = event.hypotheses
                    else:
                        found[i][j] = choose(event.hypotheses, self.tokenizer, utility)
                    missing[i] -= 1
                    advance(int(missing[i] == 0 and prepared[i].reading is None))
        return [refused.get(i, each) for i, each in enumerate(found)]

    def _stream(
        self, ready: Prepared, options: SearchOptions, engine: SharedEngine
    ) -> Generator[str | Translation, None, None]:
        while ready.reading is not None:
            (hypotheses,) = self._run([ready], lambda count: None, None)
            if isinstance(hypotheses, RequestError):
                raise hypotheses
            step = following(ready, hypotheses, self._segmenter, self._phrases, self.tokenizer)
            if isinstance(step, Answerable):
                yield assemble(step.plan, step.found, options.n_best, self.tokenizer)
                return
            ready = step
        detokenizer = IncrementalDetokenizer(ready.plan, self.tokenizer)
        requests = [dataclasses.replace(request, stream=True) for request in ready.requests]
        found: list[tuple[Hypothesis, ...]] = [()] * len(requests)
        with closing(engine.search(requests)) as events:
            for number, event in events:
                if isinstance(event, Refused):
                    raise event.error
                if isinstance(event, Progress):
                    prefix = detokenizer.update(number, event.stable_prefix, done=False)
                else:
                    found[number] = event.hypotheses
                    if not event.hypotheses:
                        break  # `assemble` refuses it
                    prefix = detokenizer.update(number, event.hypotheses[0].pieces, done=True)
                if prefix is not None:
                    yield prefix
        yield assemble(ready.plan, found, options.n_best, self.tokenizer)


def _all_found(results: Sequence[Translation | RequestError]) -> list[Translation]:
    """The translations; raises the first error."""
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
