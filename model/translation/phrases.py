"""Phrases: from the texts of prefix, constraints and avoid list to pieces, and words to count."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

from model.decoding.automaton import Automaton
from model.decoding.options import SearchOptions, length_limit, word_limits
from model.decoding.request import Request
from model.decoding.rules.constraints import MAX_PIECES
from model.decoding.source_names import SourceNames
from model.errors import RequestError
from model.text.length_pieces import bucket_of, length_ids
from model.text.tokenizer import UNK_ID, Tokenizer
from model.text.words import cleaned
from model.translation.avoid_automaton import PieceTexts
from model.translation.source_words import (
    check_extract,
    check_names,
    source_signs,
    source_words,
)

LISTS = 16  # avoid lists that are kept for later requests with the same list


class Phrases:
    """Makes the requests of one tokenizer. Safe to use from several threads."""

    def __init__(self, tokenizer: Tokenizer, length_buckets: Sequence[int] = ()) -> None:
        """
        Args:
            length_buckets: see `TextProfile`.

        Raises:
            ConfigError: the tokenizer lacks the pieces of length buckets.
        """
        self._tokenizer = tokenizer
        self._length_buckets = length_buckets
        self._length_ids = length_ids(tokenizer, len(length_buckets) + 1) if length_buckets else []
        self._uncopied = frozenset(self._length_ids)
        self.spelling = PieceTexts(tokenizer)
        # Equal lists give the same function object, and so share one automaton in the engine.
        # Of the spelling and not of self, or the cache and these phrases would hold each other.
        self._avoid = lru_cache(LISTS)(partial(_automaton, self.spelling))

    def requests(
        self,
        sources: Sequence[tuple[int, ...]],
        options: SearchOptions,
        text_words: int | None = None,
    ) -> list[Request]:
        """Make the requests for the parts of one text. Only the first has the prefix.

        Where words are limited, the source of a model that knows length pieces begins with one.

        Several translations must differ in their texts, which the engine does not see: it is asked
        for all hypotheses of the beam, so that `n_best` can be chosen among them.

        Args:
            text_words: the words of which `ratio` is a share; those of each source if None.

        Raises:
            RequestError: constraints, or limits of words, for a text of several parts; words that
                contradict one another or do not fit the length limit; phrases that an extractive
                search cannot take from the text; or see `check`.
        """
        self.check(options)
        if options.n_best > 1:
            options = dataclasses.replace(options, n_best=options.beam_size)
        if options.constraints and len(sources) > 1:
            raise RequestError(
                f"constraints: the text is translated in {len(sources)} parts, and none of them is "
                f"known to hold them. Split the text yourself, or leave them out."
            )
        for name in ("min_words", "max_words"):
            if getattr(options, name) and len(sources) > 1:
                raise RequestError(
                    f"{name}: the text is translated in {len(sources)} parts, and how they share "
                    f"its words is not known. Use ratio, or split the text yourself."
                )
        avoid = self._avoid(tuple(map(cleaned, options.avoid))) if options.avoid else None
        prefix, constraints = self._prefix(options), self._constraints(options)
        requests = []
        for part, src in enumerate(sources):
            least, most = self._word_limits(src, options, text_words)
            request = Request(
                src=(*self._length_piece(least, most), *src),
                options=options,
                prefix=() if part else prefix,
                constraints=constraints,
                avoid=avoid,
                min_words=least,
                max_words=most,
                uncopied=self._uncopied,
            )
            _check_words(request)
            if options.extractive != "none":
                request = self._extracting(request, src)
            requests.append(request)
        return requests

    def check(self, options: SearchOptions) -> None:
        """Check that the phrases of `options` can be demanded and avoided, whatever the text.

        Raises:
            RequestError: there are too many, the vocabulary cannot spell them, or they have more
                words than there may be.
        """
        self._prefix(options)
        count = sum(map(len, self._constraints(options)))
        if count > MAX_PIECES:
            raise RequestError(
                f"constraints: they have {count} pieces, but at most {MAX_PIECES} can be demanded "
                f"of one translation. Leave some out."
            )
        for phrase in options.avoid:
            strange = [c for c in cleaned(phrase) if c not in self.spelling.alphabet]
            if strange:
                raise RequestError(
                    "{} has {}, for which this model has no piece. Leave it out: such a character "
                    "can only be spelt in bytes.",
                    field="avoid",
                    quoted=(phrase, strange[0]),
                )
        if options.max_words:
            _check_demanded_words(options, options.max_words)

    def _word_limits(
        self, src: tuple[int, ...], options: SearchOptions, text_words: int | None
    ) -> tuple[int, int]:
        """See `word_limits`."""
        if text_words is None and options.ratio is not None:
            text_words = len(self._tokenizer.decode(src).split())
        return word_limits(options, text_words or 0)

    def _length_piece(self, least: int, most: int) -> list[int]:
        """The piece for the length in the middle of these limits; none if there is no limit."""
        if not self._length_ids or not (least or most):
            return []
        wanted = (least + most) / 2 if least and most else least or most
        return [self._length_ids[bucket_of(self._length_buckets, wanted)]]

    def _extracting(self, request: Request, src: tuple[int, ...]) -> Request:
        """The same with the words or names of `src`, the source without a length piece; checked."""
        if request.options.extractive == "names":
            source = self._tokenizer.decode(src)
            check_names(request.options, source)
            names = SourceNames(self.spelling.names, source)
            return dataclasses.replace(request, source_names=names)
        words = source_words(src, self._tokenizer)
        signs = source_signs(words, self._tokenizer)
        request = dataclasses.replace(request, source_words=words, source_signs=signs)
        check_extract(request)
        return request

    def _prefix(self, options: SearchOptions) -> tuple[int, ...]:
        return self._pieces("prefix", options.prefix)

    def _constraints(self, options: SearchOptions) -> tuple[tuple[int, ...], ...]:
        return tuple(self._pieces("constraints", cleaned(c)) for c in options.constraints)

    def _pieces(self, name: str, text: str) -> tuple[int, ...]:
        pieces = tuple(self._tokenizer.encode(text))
        if UNK_ID in pieces:
            raise RequestError(
                "{} has a character for which this model has no piece. Write it otherwise, or "
                "leave it out.",
                field=name,
                quoted=(text,),
            )
        return pieces


def _check_words(request: Request) -> None:
    """Check that the words that `request` asks for go together, and fit its length limit.

    Raises:
        RequestError: they do not.
    """
    options, least, most = request.options, request.min_words, request.max_words
    if most and least > most:  # by the words of the source: see `SearchOptions` for the others
        raise RequestError(
            f"min_words: {least}, but ratio {options.ratio} allows {most} words for this source. "
            f"Lower min_words or raise ratio."
        )
    if most:
        _check_demanded_words(options, most, prefix=bool(request.prefix))
    demanded = sum(map(len, (request.prefix, *request.constraints)))
    missing = max(0, least - _words(options, prefix=bool(request.prefix)))
    limit = length_limit(options, len(request.src))
    if least and demanded + missing > limit:
        name = "min_words" if options.min_words else "ratio"
        raise RequestError(
            f"{name}: {least} words are the least, but the output for a source of "
            f"{len(request.src)} pieces may have {limit} pieces. Raise max_length_b or lower "
            f"{name}."
        )


def _check_demanded_words(options: SearchOptions, most: int, *, prefix: bool = True) -> None:
    """Refuse a prefix and constraints that have more than `most` words."""
    count = _words(options, prefix=prefix)
    if count > most:
        given = "max_words" if options.max_words else "ratio"
        raise RequestError(
            f"{given}: {most} words are the most, but prefix and constraints have {count}. "
            f"Raise {given} or shorten them."
        )


def _words(options: SearchOptions, *, prefix: bool) -> int:
    """The words of the constraints and, where it applies, of the prefix."""
    texts = (options.prefix, *options.constraints) if prefix else options.constraints
    return sum(len(text.split()) for text in texts)


def _automaton(spelling: PieceTexts, phrases: tuple[str, ...]) -> Callable[[], Automaton]:
    return partial(spelling.automaton, phrases)
