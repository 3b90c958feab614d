"""Rounds: the searches that a text takes. Most take one; a text read in windows takes several.

The first round of such a text searches each window. The answer is then made of the best of their
summaries (`best_windows`), or all of them, joined, are summarized by the same model in the last
round. While they are too long for that, they are read in windows themselves, as long as each round
leaves much less than it has read; else the last round reads those of the best windows that it can.
"""

import dataclasses
import re
from bisect import bisect_left, bisect_right
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
from model.text.word_places import JoinedLines, Span
from model.translation.alignment import word_weights
from model.translation.phrases import Phrases
from model.translation.word_sources import Places, attended_words, source_places, traced

_WORD = re.compile(r"\S+")

MOST_LEFT = 0.75
"""The most that the summaries of a round may have of the pieces that it has read, for another round
of windows: so all rounds together read less than four times what the first one does."""


class Summary(NamedTuple):
    """The best summary of a window."""

    text: str
    origins: tuple[Places, ...]
    """For each of its words, the places in the text that it comes from; empty if not asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A text that is being read in windows, between two rounds."""

    options: SearchOptions
    """Those of the request. Its windows are searched with `window_options` of them."""
    plan: Plan
    """Its windows, in the text."""
    origins: tuple[Places, ...] = ()
    """For each word of the summaries that are read now, the places in the text that it comes from;
    none while the text itself is read, or if that is not asked for."""
    windows: tuple[TextWindow, ...] = ()
    """The windows of the text with their scores; none before they have been searched."""
    summaries: tuple[Summary, ...] = ()
    """Their summaries, likewise."""

    @property
    def words(self) -> int:
        """The words of the text, of which `ratio` is a share."""
        return len(self.plan.text.split())

    @property
    def before(self) -> str:
        """The white space before the text, which stays as it is."""
        return self.plan.text[: len(self.plan.text) - len(self.plan.text.lstrip())]

    @property
    def behind(self) -> str:
        """The white space behind the text."""
        return self.plan.text[len(self.plan.text.rstrip()) :]


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
    plan: Plan, options: SearchOptions, segmenter: Segmenter, phrases: Phrases
) -> Prepared:
    """The first round of a text with this plan.

    Raises:
        RequestError: its options demand something impossible for it or for this model.
    """
    if not plan.spans:
        return _round(plan, phrases.requests(plan.sources, options))
    reading = Reading(options=options, plan=plan)
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
    *,
    aligned: bool = True,
) -> Prepared | Answerable:
    """What comes after a round for whose sources these hypotheses were `found`.

    Args:
        aligned: whether it is followed where words come from.

    Raises:
        RequestError: the options demand something impossible for the summaries of the windows.
    """
    reading = ready.reading
    if reading is None or not all(found):
        return Answerable(ready.plan, found)
    summaries = _summaries(ready.plan, found, reading, tokenizer, aligned=aligned)
    if not reading.windows:
        windows = tuple(
            TextWindow(start=start, end=end, score=hypotheses[0].score, used=True)
            for (start, end), hypotheses in zip(reading.plan.spans, found, strict=True)
        )
        reading = dataclasses.replace(reading, windows=windows, summaries=tuple(summaries))
        if reading.options.best_windows:
            return _best_windows(ready.plan, found, reading)
    joined = _joined(summaries)
    source = segmenter.encode(joined.text)
    if len(source) <= segmenter.limit:
        return _last_round(source, joined, reading, phrases, tokenizer)
    if len(source) <= MOST_LEFT * sum(map(len, ready.plan.sources)):
        options = reading.options
        plan = segmenter.windows(
            joined.text, language=options.source_language, extractive=options.extractive
        )
        reading = dataclasses.replace(reading, origins=joined.origins)
        return _round(plan, phrases.requests(plan.sources, window_options(options)), reading)
    return _last_of_best(reading, segmenter, phrases, tokenizer)


def _summaries(
    plan: Plan,
    found: Sequence[Sequence[Hypothesis]],
    reading: Reading,
    tokenizer: Tokenizer,
    *,
    aligned: bool,
) -> list[Summary]:
    """The best summary of each source of `plan`, which cuts the text or summaries of it."""
    summaries = []
    starts = [word.start() for word in _WORD.finditer(plan.text)]
    for src, span, hypotheses in zip(plan.sources, plan.spans, found, strict=True):
        best = hypotheses[0]
        text = tokenizer.decode(best.pieces)
        if not aligned:
            summaries.append(Summary(text, ()))
            continue
        places: Sequence[Places] = [(one,) for one in source_places(src, span, plan, tokenizer)]
        if reading.windows:  # not in the text, but in summaries
            places = [_origin(reading.origins, starts, place) for (place,) in places]
        source, target = ([tokenizer.piece(id) for id in ids] for ids in (src, best.pieces))
        weights = word_weights(best.weights[:-1, :-1], source, target)
        origins = traced(attended_words(weights, source, target), places)
        summaries.append(Summary(text, _by_white_space(origins, text)))
    return summaries


def _by_white_space(origins: Sequence[Places], text: str) -> tuple[Places, ...]:
    """The `origins` of the words of `text` that the tokenizer counts, for those of `_WORD`.

    White space that is no space parts words that are one for the tokenizer: each comes from where
    that comes from.
    """
    words = [word.split() for word in text.split(" ") if word]
    if len(words) == len(origins):
        return tuple(one for parts, one in zip(words, origins, strict=True) for _ in parts)
    # A foreign tokenizer may spell a piece with spaces: only the whole is known.
    return (tuple(sorted({one for each in origins for one in each})),) * len(text.split())


def _origin(origins: Sequence[Places], starts: Sequence[int], place: Span) -> Places:
    """The places in the text of the words of its summaries that stand at this place in them.

    Args:
        origins: of each word of the summaries.
        starts: where these words begin.
    """
    first, last = bisect_right(starts, place[0]) - 1, bisect_left(starts, place[1])
    words = origins[max(first, 0) : last]
    return tuple(sorted({span for each in words for span in each}))


def _source_origins(
    source: Sequence[int], joined: Summary, rules: int, tokenizer: Tokenizer
) -> tuple[Places, ...]:
    """The places in the text of the words of `source`, as the tokenizer counts them.

    Args:
        source: the pieces of the `joined` summaries, normalised by `rules`.
    """
    if not joined.origins:
        return ()
    plan = Plan((), text=joined.text, normalization=rules)
    starts = [word.start() for word in _WORD.finditer(joined.text)]
    places = source_places(source, (0, len(joined.text)), plan, tokenizer)
    return tuple(_origin(joined.origins, starts, place) for place in places)


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
    places: list[Span] = [(0, len(reading.before))]
    for place in chosen:
        start, end = reading.plan.spans[place]
        places += [(start, end), (end, end)]
    length = len(reading.plan.text)
    places[-1] = (length - len(reading.behind), length)
    there = [number for number, part in enumerate(parts) if part != ""]
    shown = Plan(
        tuple(parts[number] for number in there),
        text=reading.plan.text,
        places=tuple(places[number] for number in there),
        normalization=reading.plan.normalization,
        windows=reading.windows,
    )
    return Answerable(shown, [found[place] for place in chosen])


def _last_of_best(
    reading: Reading, segmenter: Segmenter, phrases: Phrases, tokenizer: Tokenizer
) -> Prepared | Answerable:
    """The last round, over the summaries of the best windows of the text, as many as it reads.

    If even the best is too long, its beginning is read, and the plan says so.
    """
    chosen: list[int] = []
    pieces = 0
    for place in _ranked(reading):
        length = len(segmenter.encode(reading.summaries[place].text))
        if not chosen or pieces + length <= segmenter.limit:
            chosen.append(place)
            pieces += length
    reading = _using(reading, chosen)
    joined = _joined([reading.summaries[place] for place in sorted(chosen)])
    source = segmenter.encode(joined.text)
    if len(source) <= segmenter.limit:
        return _last_round(source, joined, reading, phrases, tokenizer)
    beginning = segmenter.beginning(joined.text, reading.options.source_language)
    joined = Summary(beginning, joined.origins[: len(beginning.split())])
    source = segmenter.encode(beginning)
    return _last_round(source, joined, reading, phrases, tokenizer, truncated_source=len(source))


def _last_round(
    source: Sequence[int],
    joined: Summary,
    reading: Reading,
    phrases: Phrases,
    tokenizer: Tokenizer,
    truncated_source: int | None = None,
) -> Prepared | Answerable:
    """The round that makes the answer, of joined summaries that fit: what was demanded holds.

    Args:
        source: the pieces of the `joined` summaries.
    """
    options = reading.options
    parts = (reading.before, tuple(source), reading.behind)
    plan = Plan(
        tuple(part for part in parts if part != ""),
        truncated_source=truncated_source,
        windows=reading.windows,
        origins=_source_origins(source, joined, reading.plan.normalization, tokenizer),
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


def _joined(summaries: Sequence[Summary]) -> Summary:
    """The summaries that are not blank, with a space between them and for each break of a line."""
    there = [one for one in summaries if one.text.strip()]
    return Summary(
        " ".join(JoinedLines(one.text).joined for one in there),
        tuple(origin for one in there for origin in one.origins),
    )
