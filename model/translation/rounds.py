"""Rounds: the searches that a text takes. Most take one; a text read in windows takes several.

The first round of such a text searches each window. The answer is then made of the best of their
summaries (`best_windows`), or all of them, joined, are summarized by the same model in the last
round. While they are too long for that, they are read in windows themselves, as long as each round
leaves much less than it has read; else the last round reads those of the best windows that it can.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from model.decoding.beam_search import Hypothesis
from model.decoding.engine import check_phrases
from model.decoding.options import SearchOptions, word_limits
from model.decoding.request import Request
from model.text.segmentation import Plan, Segmenter
from model.text.text_windows import TextWindow
from model.text.tokenizer import UNK_ID, Tokenizer
from model.translation.phrases import Phrases

MOST_LEFT = 0.75
"""The most that the summaries of a round may have of the pieces that it has read, for another round
of windows: so all rounds together read less than four times what the first one does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A text that is being read in windows, between two rounds."""

    options: SearchOptions
    """Those of the request. Its windows are searched with `window_options` of them."""
    words: int
    """The words of the text, of which `ratio` is a share."""
    before: str
    """The white space before the text, which stays as it is."""
    behind: str
    spans: tuple[tuple[int, int], ...]
    """Where its windows begin and end in it."""
    windows: tuple[TextWindow, ...] = ()
    """The same with their scores; none before they have been searched."""
    summaries: tuple[str, ...] = ()
    """Their summaries, likewise."""


class Prepared(NamedTuple):
    """A text, ready to be searched."""

    plan: Plan
    requests: list[Request]
    """One for each source of the plan."""
    reading: Reading | None = None
    """What `following` needs to know of a text that is read in windows; None in its last round, and
    for all other texts."""

    @property
    def any_length(self) -> bool:
        """Whether there is one source, which may be longer than an `Engine` takes."""
        return self.plan.whole_source is not None


class Answerable(NamedTuple):
    """A text whose last round is over: what `model.translation.assemble.assemble` needs."""

    plan: Plan
    found: Sequence[Sequence[Hypothesis]]
    """The hypotheses for each source of the plan."""


def window_options(options: SearchOptions) -> SearchOptions:
    """`options` for a window: without what they demand of the answer, which is made later."""
    return dataclasses.replace(
        options, prefix="", constraints=(), min_words=0, max_words=0, ratio=None
    )


def first_round(
    text: str, plan: Plan, options: SearchOptions, segmenter: Segmenter, phrases: Phrases
) -> Prepared:
    """The first round of a text with this plan.

    Raises:
        RequestError: its options demand something impossible for it or for this model.
    """
    if not plan.spans:
        return _round(plan, phrases.requests(plan.sources, options))
    reading = Reading(
        options=options,
        words=len(text.split()),
        before=text[: len(text) - len(text.lstrip())],
        behind=text[len(text.rstrip()) :],
        spans=plan.spans,
    )
    if not options.best_windows:
        # What even the longest source cannot give is refused before anything is searched.
        longest = [(UNK_ID,) * segmenter.limit]
        of_any_words = dataclasses.replace(options, extractive="none")
        _round(plan, phrases.requests(longest, of_any_words, text_words=reading.words))
    return _round(plan, phrases.requests(plan.sources, window_options(options)), reading)


def following(
    ready: Prepared,
    found: Sequence[Sequence[Hypothesis]],
    segmenter: Segmenter,
    phrases: Phrases,
    tokenizer: Tokenizer,
) -> Prepared | Answerable:
    """What comes after a round for whose sources these hypotheses were `found`.

    Raises:
        RequestError: the options demand something impossible for the summaries of the windows.
    """
    reading = ready.reading
    if reading is None or not all(found):
        return Answerable(ready.plan, found)
    summaries = [tokenizer.decode(hypotheses[0].pieces) for hypotheses in found]
    if not reading.windows:
        windows = tuple(
            TextWindow(start=start, end=end, score=hypotheses[0].score, used=True)
            for (start, end), hypotheses in zip(reading.spans, found, strict=True)
        )
        reading = dataclasses.replace(reading, windows=windows, summaries=tuple(summaries))
        if reading.options.best_windows:
            return _best_windows(ready.plan, found, reading)
    joined = _joined(summaries)
    source = segmenter.encode(joined)
    if len(source) <= segmenter.limit:
        return _last_round(source, reading, phrases)
    if len(source) <= MOST_LEFT * sum(map(len, ready.plan.sources)):
        options = reading.options
        plan = segmenter.windows(
            joined, language=options.source_language, extractive=options.extractive
        )
        return _round(plan, phrases.requests(plan.sources, window_options(options)), reading)
    return _last_of_best(reading, segmenter, phrases)


def _round(plan: Plan, requests: list[Request], reading: Reading | None = None) -> Prepared:
    for request in requests:
        check_phrases(request)  # what is refused here never reaches the engine
    return Prepared(plan, requests, reading)


def _best_windows(
    plan: Plan, found: Sequence[Sequence[Hypothesis]], reading: Reading
) -> Answerable:
    """The answer from the summaries of the `best_windows`, in the order of the text."""
    reading = _using(reading, _ranked(reading)[: reading.options.best_windows])
    chosen = [place for place, window in enumerate(reading.windows) if window.used]
    parts: list[str | tuple[int, ...]] = [reading.before]
    for place in chosen:
        parts += [plan.sources[place], " "]
    parts[-1] = reading.behind
    kept = tuple(part for part in parts if part != "")
    return Answerable(Plan(kept, windows=reading.windows), [found[place] for place in chosen])


def _last_of_best(
    reading: Reading, segmenter: Segmenter, phrases: Phrases
) -> Prepared | Answerable:
    """The last round, over the summaries of the best windows of the text, as many as it reads.

    If even the best is too long, its beginning is read, and the plan says so.
    """
    chosen: list[int] = []
    pieces = 0
    for place in _ranked(reading):
        length = len(segmenter.encode(reading.summaries[place]))
        if not chosen or pieces + length <= segmenter.limit:
            chosen.append(place)
            pieces += length
    reading = _using(reading, chosen)
    joined = _joined([reading.summaries[place] for place in sorted(chosen)])
    source = segmenter.encode(joined)
    if len(source) <= segmenter.limit:
        return _last_round(source, reading, phrases)
    source = segmenter.beginning(joined, reading.options.source_language)
    return _last_round(source, reading, phrases, truncated_source=len(source))


def _last_round(
    source: Sequence[int],
    reading: Reading,
    phrases: Phrases,
    truncated_source: int | None = None,
) -> Prepared | Answerable:
    """The round that makes the answer, of joined summaries that fit: what was demanded holds."""
    options = reading.options
    parts = (reading.before, tuple(source), reading.behind)
    plan = Plan(
        tuple(part for part in parts if part != ""),
        truncated_source=truncated_source,
        windows=reading.windows,
    )
    if source:
        return _round(plan, phrases.requests(plan.sources, options, text_words=reading.words))
    # All summaries are empty, and so is the answer: nothing is found if more is demanded.
    least, _ = word_limits(options, reading.words)
    demanded = bool(least or options.prefix or options.constraints)
    if demanded:
        return Answerable(plan, [()])
    return Prepared(Plan((reading.before + reading.behind,), windows=reading.windows), [])


def _ranked(reading: Reading) -> list[int]:
    """The places of the windows, the best score first, and of equal ones the earlier."""
    scores = [window.score for window in reading.windows]
    return sorted(range(len(scores)), key=lambda place: -scores[place])


def _using(reading: Reading, places: Sequence[int]) -> Reading:
    """The same with these windows used and no others."""
    windows = tuple(
        dataclasses.replace(window, used=place in places)
        for place, window in enumerate(reading.windows)
    )
    return dataclasses.replace(reading, windows=windows)


def _joined(summaries: Sequence[str]) -> str:
    """The summaries that are not blank, with a space between them."""
    return " ".join(filter(None, map(str.strip, summaries)))
