"""Assembling: a text is taken apart for the search, and the results are put together again."""

# Shapes: T target length with EOS, S source length with EOS.

import dataclasses
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple, Protocol, TypeVar

from torch import Tensor

from model.decoding.beam_search import Hypothesis
from model.decoding.engine import MAX_LENGTH
from model.decoding.options import SearchOptions, length_limit
from model.errors import RequestError
from model.text.charset import half_character
from model.text.languages import language_name, languages_agree
from model.text.profile import TextProfile
from model.text.segmentation import Plan, Segmenter, WholeSource
from model.text.text_windows import TextWindow
from model.text.tokenizer import Tokenizer
from model.text.word_places import Span
from model.translation.alignment import (
    WordAlignment,
    hard,
    most_attended_words,
    word_count,
    word_weights,
)
from model.translation.phrases import Phrases
from model.translation.rounds import Prepared, first_round
from model.translation.word_sources import (
    Places,
    WordSources,
    attended_words,
    plan_places,
    pointed_words,
    traced,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TextHypothesis:
    """One translation of a text, and how the search rated it.

    For a text that was cut, numbers are sums over its parts and sequences are joined.
    """

    translation: str
    score: float
    """The score that hypotheses are ranked by: `log_prob` divided by the length penalty."""
    log_prob: float
    """Natural logarithm of the probability of the pieces and their EOS."""
    mean_log_prob: float
    """`log_prob` divided by the number of pieces, the EOS of each part counted: what a
    `model.decoding.confidence.Calibration` asks for. 0 for a blank text."""
    pieces: tuple[str, ...]
    """The pieces of the translation, without EOS; U+2581 stands for a space."""
    alignment: tuple[int, ...]
    """For each piece, which of the `source_pieces` it attended to most."""
    token_log_probs: tuple[float, ...]
    """For each piece, the natural logarithm of its probability; that of EOS is left out."""
    word_alignment: tuple[int, ...]
    """For each word of the translation, which word of the source it attended to most. Words are
    separated by spaces, see `model.translation.alignment`."""
    word_sources: tuple[tuple[Span, ...], ...]
    """For each word of the translation, where the words of the source that it comes from stand in
    the text as it was given: [start, end) in characters, see `model.translation.word_sources`."""
    truncated: bool
    """Whether it was ended by the length limit where the network would have preferred to go on."""
    weights: Tensor | None = field(compare=False, repr=False)
    """(T, S) attention of the pieces and EOS over the source pieces and EOS; None for a text that
    was cut, or blank, or is longer than a part and was read whole."""

    def to_json(self) -> dict[str, object]:
        """The hypothesis as JSON output has it: every field but the mean and the weights."""
        return {
            "translation": self.translation,
            "score": self.score,
            "log_prob": self.log_prob,
            "pieces": self.pieces,
            "alignment": self.alignment,
            "token_log_probs": self.token_log_probs,
            "word_alignment": self.word_alignment,
            "word_sources": self.word_sources,
            "truncated": self.truncated,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Translation:
    """The translations of one text."""

    hypotheses: tuple[TextHypothesis, ...]
    """At least one and up to `n_best`, the best first."""
    source_pieces: tuple[str, ...]
    """The pieces of the parts that were translated, without EOS. Of a text that was read in
    windows those of the last round: the joined summaries, or the `best_windows`."""
    truncated_source: int | None = None
    """Number of pieces read of a text that is read whole and was too long, otherwise None."""
    whole_source: WholeSource | None = None
    """How a text was read that is longer than a part, with `on_long` whole, otherwise None."""
    windows: tuple[TextWindow, ...] = ()
    """The windows of a text that was read in windows, in order; otherwise none."""

    @property
    def text(self) -> str:
        """The best translation."""
        return self.hypotheses[0].translation


def cut_text(segmenter: Segmenter, text: str, options: SearchOptions) -> Plan:
    """Cut `text` for a translation with `options`; see `Segmenter.cut`.

    Raises:
        InputTooLong: the text is read whole, is too long, and must not be cut; or a word is too
            long for an extractive search in windows.
    """
    return segmenter.cut(
        text,
        language=options.source_language,
        split_sentences=options.split_sentences,
        on_long=options.on_long,
        extractive=options.extractive,
    )


def prepare(text: str, options: SearchOptions, segmenter: Segmenter, phrases: Phrases) -> Prepared:
    """Cut `text` and make the requests for the engine: of its first round, if it takes several.

    The output for a source of any length may have `MAX_LENGTH` pieces at most.

    Raises:
        RequestError: the text is too long to be read whole, or its options demand something
            impossible for it or for this model.
    """
    plan = cut_text(segmenter, text, options)
    if (whole := plan.whole_source) is not None:
        limit = min(length_limit(options, whole.pieces), MAX_LENGTH)
        options = dataclasses.replace(options, max_length_a=0.0, max_length_b=limit)
        if options.attention_span >= whole.pieces:
            options = dataclasses.replace(options, attention_span=0)
        if options.attention_span:
            whole = dataclasses.replace(whole, attention_span=options.attention_span)
            plan = dataclasses.replace(plan, whole_source=whole)
    return first_round(plan, options, segmenter, phrases)


def check_languages(options: SearchOptions, profile: TextProfile) -> None:
    """Check that the model reads and writes the languages that `options` ask for.

    Raises:
        RequestError: it does not, or it should take words from a source in another language than
            it writes, or read what it wrote itself; both languages are named.
    """
    for name, verb in (("source_language", "reads"), ("target_language", "writes")):
        wanted, offered = getattr(options, name), getattr(profile, name)
        if not languages_agree(wanted, offered):
            raise RequestError(
                f"{name}: {wanted} ({language_name(wanted)}) is asked for, but the model {verb} "
                f"{offered} ({language_name(offered)}). Use a model for it, or leave it out."
            )
    read, written = profile.source_language, profile.target_language
    if languages_agree(read, written):
        return
    if profile.reads_whole and options.on_long == "windows" and not options.best_windows:
        raise RequestError(
            f"on_long: windows are summarized, then their summaries, but the model reads {read} "
            f"({language_name(read)}) and writes {written} ({language_name(written)}). Use "
            "best_windows, or another on_long."
        )
    if options.extractive != "none":
        raise RequestError(
            f"extractive: it takes words or names from the text, but the model reads {read} "
            f"({language_name(read)}) and writes {written} ({language_name(written)}). Leave it "
            "out."
        )


def list_of_texts(texts: Sequence[str], name: str = "texts") -> list[str]:
    """Check `texts` before any of them is translated, and return them as a list.

    Args:
        name: what messages call them.

    Raises:
        RequestError: they are not a list, one is not text, or one has half of a character.
    """
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise RequestError(
            f"{name}: {type(texts).__name__} was given, but it must be a list of str. Use [text]."
        )
    found = list(texts)
    for i, text in enumerate(found):
        if not isinstance(text, str):
            raise RequestError(
                f"{name}[{i}]: a text must be a str, but this is {type(text).__name__}. Give text."
            )
        if wrong := half_character(text):
            raise RequestError(f"{name}[{i}]: {wrong}")
    return found


def assemble(
    plan: Plan,
    found: Sequence[Sequence[Hypothesis]],
    n_best: int,
    tokenizer: Tokenizer,
    *,
    aligned: bool = True,
) -> Translation:
    """Make the translation of a text from the hypotheses `found` for each of its sources.

    Of hypotheses with the same text only the best is kept. With `aligned=False` the alignments are
    left empty, which saves time.

    Raises:
        RequestError: nothing was found for one of the sources.
    """
    if not all(found):
        raise RequestError(
            "constraints, avoid, min_words: no translation meets all of them within the length "
            "limit. Raise max_length_b, or leave some of them, or extractive, out."
        )
    places = plan_places(plan, tokenizer) if aligned and (plan.places or plan.origins) else None
    own = _of_sources(plan, places)
    parts = [
        _distinct(src, [_without_length_piece(src, h) for h in of], tokenizer, aligned, there)
        for src, of, there in zip(plan.sources, found, own, strict=True)
    ]
    texts: dict[str, TextHypothesis] = {}
    count = n_best
    while True:
        chosen = best_combinations(parts, count)
        for combination in chosen:
            joined = _join(plan, combination, tokenizer, places, aligned=aligned)
            texts.setdefault(joined.translation, joined)
        if len(texts) >= n_best or len(chosen) < count:
            break
        count *= 2  # different parts gave equal texts: look further down
    return Translation(
        hypotheses=tuple(texts.values())[:n_best],
        source_pieces=tuple(tokenizer.piece(id) for src in plan.sources for id in src),
        truncated_source=plan.truncated_source,
        whole_source=plan.whole_source,
        windows=plan.windows,
    )


class _Candidate(NamedTuple):
    """A hypothesis for one source with what follows from it, computed once for all combinations."""

    hypothesis: Hypothesis
    text: str
    alignment: tuple[int, ...]
    word_alignment: tuple[int, ...]
    source_words: int
    word_sources: tuple[tuple[Span, ...], ...]

    @property
    def score(self) -> float:
        return self.hypothesis.score


def _of_sources(plan: Plan, places: list[list[Places]] | None) -> Sequence[Sequence[Places] | None]:
    """Of the places of each part those of the sources; None for each if there are none."""
    if places is None:
        return [None] * len(plan.sources)
    return [
        each for each, part in zip(places, plan.parts, strict=True) if not isinstance(part, str)
    ]


def _distinct(
    src: tuple[int, ...],
    hypotheses: Sequence[Hypothesis],
    tokenizer: Tokenizer,
    aligned: bool,
    places: Sequence[Places] | None,
) -> list[_Candidate]:
    """The best hypothesis of each text, in their order.

    Args:
        places: of the words of the source.
    """
    best: dict[str, Hypothesis] = {}
    for hypothesis in hypotheses:
        best.setdefault(tokenizer.decode(hypothesis.pieces), hypothesis)
    if not aligned:
        return [_Candidate(hypothesis, text, (), (), 0, ()) for text, hypothesis in best.items()]
    source = [tokenizer.piece(id) for id in src]
    return [_candidate(source, each, text, tokenizer, places) for text, each in best.items()]


def _without_length_piece(src: tuple[int, ...], hypothesis: Hypothesis) -> Hypothesis:
    """The hypothesis with its attention over the pieces of the source and EOS only."""
    columns = len(src) + 1
    if hypothesis.weights.shape[1] <= columns:  # less in a source of any length
        return hypothesis
    return dataclasses.replace(hypothesis, weights=hypothesis.weights[:, -columns:])


def _candidate(
    source: Sequence[str],
    hypothesis: Hypothesis,
    text: str,
    tokenizer: Tokenizer,
    places: Sequence[Places] | None,
) -> _Candidate:
    target = [tokenizer.piece(id) for id in hypothesis.pieces]
    # Without EOS on either side: the last row and the last column.
    if hypothesis.most_attended is not None:
        most = hypothesis.most_attended[:-1]
        alignment = tuple(place for place, _ in most)
        return _Candidate(
            hypothesis,
            text,
            alignment,
            most_attended_words(most, source, target),
            word_count(source),
            () if places is None else traced(pointed_words(alignment, source, target), places),
        )
    weights = hypothesis.weights[:-1, :-1]
    by_word = word_weights(weights, source, target)
    return _Candidate(
        hypothesis,
        text,
        hard(weights),
        hard(by_word),
        by_word.shape[1],
        () if places is None else traced(attended_words(by_word, source, target), places),
    )


class _Scored(Protocol):
    @property
    def score(self) -> float: ...


Choice = TypeVar("Choice", bound=_Scored)
_Chain = tuple["_Chain[Choice]", Choice] | None
"""A choice for each part so far, the last one first, so that adding one takes constant time."""


def best_combinations(parts: Sequence[Sequence[Choice]], count: int) -> list[list[Choice]]:
    """The `count` best choices of one hypothesis for each part, by the sum of their scores.

    Fewer if there are not that many, and one empty choice if there is no part. Among equal ones,
    those with better hypotheses for the earlier parts come first.
    """
    best: list[tuple[float, _Chain[Choice]]] = [(0.0, None)]
    for hypotheses in parts:
        # Scores add up, so only the best choices for the parts so far can lead to the best ones.
        longer: Iterable[tuple[float, _Chain[Choice]]] = (
            (score + h.score, (chain, h)) for score, chain in best for h in hypotheses
        )
        best = heapq.nlargest(count, longer, key=itemgetter(0))
    return [_unchained(chain) for _, chain in best]


def _unchained(chain: _Chain[Choice]) -> list[Choice]:
    found: list[Choice] = []
    while chain is not None:
        chain, choice = chain
        found.append(choice)
    return found[::-1]


def _join(
    plan: Plan,
    combination: Sequence[_Candidate],
    tokenizer: Tokenizer,
    places: list[list[Places]] | None,
    *,
    aligned: bool,
) -> TextHypothesis:
    """Replace each source of `plan` by its hypothesis.

    Args:
        places: of the words of each part.
    """
    remaining = iter(combination)
    translated: list[str] = []
    alignment: list[int] = []
    words, sources = WordAlignment(), WordSources()
    offset = 0
    for number, part in enumerate(plan.parts):
        if isinstance(part, str):
            translated.append(part)
            words.keep(part)
            if places is not None:
                sources.keep(part, places[number])
            continue
        one = next(remaining)
        translated.append(one.text)
        alignment += [offset + place for place in one.alignment]
        words.add(one.word_alignment, one.source_words, one.text)
        sources.add(one.word_sources, one.text)
        offset += len(part)
    hypotheses = [one.hypothesis for one in combination]
    log_prob = sum((h.log_prob for h in hypotheses), start=0.0)
    length = sum(len(h.token_log_probs) for h in hypotheses)
    return TextHypothesis(
        translation="".join(translated),
        score=sum((h.score for h in hypotheses), start=0.0),
        log_prob=log_prob,
        mean_log_prob=log_prob / length if length else 0.0,
        pieces=tuple(tokenizer.piece(id) for h in hypotheses for id in h.pieces),
        alignment=tuple(alignment),
        token_log_probs=tuple(x for h in hypotheses for x in h.token_log_probs[:-1]),
        word_alignment=tuple(words.words) if aligned else (),
        word_sources=tuple(sources.words),
        truncated=any(h.truncated for h in hypotheses),
        weights=_weights(hypotheses),
    )


def _weights(hypotheses: Sequence[Hypothesis]) -> Tensor | None:
    """The attention (T, S) of the only hypothesis, if there is one with all of its attention."""
    if len(hypotheses) != 1 or hypotheses[0].most_attended is not None:
        return None
    return hypotheses[0].weights
