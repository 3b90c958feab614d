"""Translation: a text taken apart for the search, and what was found put together again."""

# Shapes: T target length with EOS, S source length with EOS.

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple, Protocol, TypeVar

from torch import Tensor

from model.decoding.beam_search import Hypothesis
from model.decoding.engine import check_phrases
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.errors import RequestError
from model.text.languages import language_name, languages_agree
from model.text.profile import TextProfile
from model.text.segmentation import Plan, Segmenter
from model.text.tokenizer import Tokenizer
from model.translation.alignment import WordAlignment, hard, word_weights
from model.translation.phrases import Phrases


@dataclass(frozen=True, kw_only=True, slots=True)
class TextHypothesis:
    """One translation of a text, and how the search judged it.

    For a text that was cut, figures are sums over its parts and sequences are joined.
    """

    translation: str
    score: float
    """What hypotheses are ranked by: `log_prob` divided by the length penalty."""
    log_prob: float
    """Natural logarithm of the probability of the pieces and their EOS."""
    pieces: tuple[str, ...]
    """Of the translation, without EOS; U+2581 stands for a space."""
    alignment: tuple[int, ...]
    """For each piece, which of the `source_pieces` it attended to most."""
    token_log_probs: tuple[float, ...]
    """For each piece, the natural logarithm of its probability; that of EOS is left out."""
    word_alignment: tuple[int, ...]
    """For each word of the translation, which word of the source it attended to most. Words are
    counted as spaces separate them, see `model.translation.alignment`."""
    truncated: bool
    """It reached the length limit where the network would rather have gone on."""
    weights: Tensor | None = field(compare=False, repr=False)
    """(T, S) attention of the pieces and EOS over the source pieces and EOS; None for a text that
    was cut, or blank."""

    def to_json(self) -> dict[str, object]:
        """What JSON output says of it: every field but the weights."""
        return {
            "translation": self.translation,
            "score": self.score,
            "log_prob": self.log_prob,
            "pieces": self.pieces,
            "alignment": self.alignment,
            "token_log_probs": self.token_log_probs,
            "word_alignment": self.word_alignment,
            "truncated": self.truncated,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Translation:
    """What became of one text."""

    hypotheses: tuple[TextHypothesis, ...]
    """Up to `n_best`, the best first, at least one."""
    source_pieces: tuple[str, ...]
    """Of the parts that were translated, without EOS."""
    truncated_source: int | None = None
    """Of a text that was read whole and was too long: how many of its pieces were read."""

    @property
    def text(self) -> str:
        """The best translation."""
        return self.hypotheses[0].translation


def cut_text(segmenter: Segmenter, text: str, options: SearchOptions) -> Plan:
    """How `text` is translated with `options`; see `Segmenter.cut`.

    Raises:
        InputTooLong: it is read whole, too long, and not to be cut.
    """
    return segmenter.cut(
        text,
        language=options.source_language,
        split_sentences=options.split_sentences,
        on_long=options.on_long,
    )


class Prepared(NamedTuple):
    """A text, ready to be searched."""

    plan: Plan
    requests: list[Request]
    """One for each source of the plan."""


def prepare(text: str, options: SearchOptions, segmenter: Segmenter, phrases: Phrases) -> Prepared:
    """How `text` is cut, and what the engine is asked for it.

    Raises:
        RequestError: the text is too long to be read whole, or its options demand what it, or this
            model, cannot have.
    """
    plan = cut_text(segmenter, text, options)
    requests = phrases.requests(plan.sources, options)
    for request in requests:
        check_phrases(request)  # refused here, it disturbs nobody
    return Prepared(plan, requests)


def check_languages(options: SearchOptions, profile: TextProfile) -> None:
    """Make sure that the model reads and writes the languages that `options` ask for.

    Raises:
        RequestError: it does not; both languages are named.
    """
    for name, verb in (("source_language", "reads"), ("target_language", "writes")):
        wanted, offered = getattr(options, name), getattr(profile, name)
        if not languages_agree(wanted, offered):
            raise RequestError(
                f"{name}: {wanted} ({language_name(wanted)}) is asked for, but the model {verb} "
                f"{offered} ({language_name(offered)}). Use a model for it, or leave it out."
            )


def list_of_texts(texts: Sequence[str]) -> list[str]:
    """The texts, looked at before any of them is translated.

    Raises:
        RequestError: it is no list, one of them is no text, or one has half of a character.
    """
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise RequestError(
            f"texts: {type(texts).__name__} was given, but it must be a list of str. Use [text]."
        )
    found = list(texts)
    for i, text in enumerate(found):
        if not isinstance(text, str):
            raise RequestError(
                f"texts[{i}]: a text must be a str, but this is {type(text).__name__}. Give text."
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise RequestError(
                f"texts[{i}]: character {error.start + 1} is half of a surrogate pair. Give both "
                "halves as one character, or leave it out."
            ) from error
    return found


def assemble(
    plan: Plan,
    found: Sequence[Sequence[Hypothesis]],
    n_best: int,
    tokenizer: Tokenizer,
    *,
    aligned: bool = True,
) -> Translation:
    """The translation of a text from the hypotheses `found` for each of its sources.

    No two of its hypotheses have the same text: of these the best is kept. Whoever does not want
    their alignments saves the time with `aligned=False`; they are empty then.

    Raises:
        RequestError: for one of the sources nothing was found.
    """
    if not all(found):
        raise RequestError(
            "constraints, avoid: no translation meets both within the length limit. "
            "Raise max_length_b, or leave some of them out."
        )
    parts = [
        _distinct(src, hypotheses, tokenizer, aligned)
        for src, hypotheses in zip(plan.sources, found, strict=True)
    ]
    texts: dict[str, TextHypothesis] = {}
    count = n_best
    while True:
        chosen = best_combinations(parts, count)
        for told in chosen:
            joined = _join(plan, told, tokenizer, aligned=aligned)
            texts.setdefault(joined.translation, joined)
        if len(texts) >= n_best or len(chosen) < count:
            break
        count *= 2  # the parts differ, and yet two texts were equal: look further down
    return Translation(
        hypotheses=tuple(texts.values())[:n_best],
        source_pieces=tuple(tokenizer.piece(id) for src in plan.sources for id in src),
        truncated_source=plan.truncated_source,
    )


class _Told(NamedTuple):
    """A hypothesis of one source, and what is read off it, once for all texts that it is in."""

    hypothesis: Hypothesis
    text: str
    alignment: tuple[int, ...]
    word_alignment: tuple[int, ...]
    source_words: int

    @property
    def score(self) -> float:
        return self.hypothesis.score


def _distinct(
    src: tuple[int, ...], hypotheses: Sequence[Hypothesis], tokenizer: Tokenizer, aligned: bool
) -> list[_Told]:
    """The best hypothesis of each text, in their order."""
    best: dict[str, Hypothesis] = {}
    for hypothesis in hypotheses:
        best.setdefault(tokenizer.decode(hypothesis.pieces), hypothesis)
    if not aligned:
        return [_Told(hypothesis, text, (), (), 0) for text, hypothesis in best.items()]
    source = [tokenizer.piece(id) for id in src]
    return [_tell(source, hypothesis, text, tokenizer) for text, hypothesis in best.items()]


def _tell(source: Sequence[str], hypothesis: Hypothesis, text: str, tokenizer: Tokenizer) -> _Told:
    # Without EOS on either side: the last row and the last column.
    weights = hypothesis.weights[:-1, :-1]
    by_word = word_weights(weights, source, [tokenizer.piece(id) for id in hypothesis.pieces])
    return _Told(hypothesis, text, hard(weights), hard(by_word), by_word.shape[1])


class _Scored(Protocol):
    @property
    def score(self) -> float: ...


Choice = TypeVar("Choice", bound=_Scored)
_Chain = tuple["_Chain[Choice]", Choice] | None
"""A choice for each part so far, the last one first: each step costs the same."""


def best_combinations(parts: Sequence[Sequence[Choice]], count: int) -> list[list[Choice]]:
    """The `count` best choices of one hypothesis for each part, by the sum of their scores.

    Fewer if there are fewer, and one empty choice if there is no part. Of equal ones those come
    first that choose better hypotheses for the earlier parts.
    """
    best: list[tuple[float, _Chain[Choice]]] = [(0.0, None)]
    for hypotheses in parts:
        # Scores add up, so only the best choices for the parts so far can grow into the best.
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
    plan: Plan, told: Sequence[_Told], tokenizer: Tokenizer, *, aligned: bool
) -> TextHypothesis:
    """The text of `plan` with its sources replaced by one hypothesis each."""
    remaining = iter(told)
    translated: list[str] = []
    alignment: list[int] = []
    words = WordAlignment()
    offset = 0
    for part in plan.parts:
        if isinstance(part, str):
            translated.append(part)
            words.keep(part)
            continue
        one = next(remaining)
        translated.append(one.text)
        alignment += [offset + place for place in one.alignment]
        words.add(one.word_alignment, one.source_words, one.text)
        offset += len(part)
    hypotheses = [one.hypothesis for one in told]
    return TextHypothesis(
        translation="".join(translated),
        score=sum((h.score for h in hypotheses), start=0.0),
        log_prob=sum((h.log_prob for h in hypotheses), start=0.0),
        pieces=tuple(tokenizer.piece(id) for h in hypotheses for id in h.pieces),
        alignment=tuple(alignment),
        token_log_probs=tuple(x for h in hypotheses for x in h.token_log_probs[:-1]),
        word_alignment=tuple(words.words) if aligned else (),
        truncated=any(h.truncated for h in hypotheses),
        weights=hypotheses[0].weights if len(hypotheses) == 1 else None,
    )
