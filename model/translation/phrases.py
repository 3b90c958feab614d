"""Phrases: from the texts of prefix, constraints and avoid list to pieces."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

from model.decoding.automaton import Automaton
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.decoding.rules.constraints import MAX_PIECES
from model.errors import RequestError
from model.text.tokenizer import UNK_ID, Tokenizer
from model.text.words import cleaned
from model.translation.avoid_automaton import PieceTexts
from model.translation.source_words import check_extract, source_words

MAX_AVOIDED = 1000
"""Characters of all phrases to avoid together: their automaton has a state for each."""

LISTS = 16  # avoid lists that are kept for later requests with the same list


class Phrases:
    """Makes the requests of one tokenizer. Safe to use from several threads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.spelling = PieceTexts(tokenizer)
        # Equal lists give the same function object, and so share one automaton in the engine.
        # Of the spelling and not of self, or the cache and these phrases would hold each other.
        self._avoid = lru_cache(LISTS)(partial(_automaton, self.spelling))

    def requests(self, sources: Sequence[tuple[int, ...]], options: SearchOptions) -> list[Request]:
        """Make the requests for the parts of one text. Only the first has the prefix.

        Several translations must differ in their texts, which the engine does not see: it is asked
        for all hypotheses of the beam, so that `n_best` can be chosen among them.

        Raises:
            RequestError: constraints for a text of several parts; phrases that an extractive search
                cannot take from the text; or see `check`.
        """
        self.check(options)
        if options.n_best > 1:
            options = dataclasses.replace(options, n_best=options.beam_size)
        if options.constraints and len(sources) > 1:
            raise RequestError(
                f"constraints: the text is translated in {len(sources)} parts, and none of them is "
                f"known to hold them. Split the text yourself, or leave them out."
            )
        avoid = self._avoid(tuple(map(cleaned, options.avoid))) if options.avoid else None
        prefix, constraints = self._prefix(options), self._constraints(options)
        requests = [
            Request(
                src=src,
                options=options,
                prefix=() if part else prefix,
                constraints=constraints,
                avoid=avoid,
            )
            for part, src in enumerate(sources)
        ]
        return requests if options.extractive == "none" else list(map(self._extracting, requests))

    def check(self, options: SearchOptions) -> None:
        """Check that the phrases of `options` can be demanded and avoided, whatever the text.

        Raises:
            RequestError: there are too many, or the vocabulary cannot spell them.
        """
        self._prefix(options)
        count = sum(map(len, self._constraints(options)))
        if count > MAX_PIECES:
            raise RequestError(
                f"constraints: they have {count} pieces, but at most {MAX_PIECES} can be demanded "
                f"of one translation. Leave some out."
            )
        count = sum(map(len, options.avoid))
        if count > MAX_AVOIDED:
            raise RequestError(
                f"avoid: {count} characters, but at most {MAX_AVOIDED} can be watched for. "
                f"Leave some phrases out."
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

    def _extracting(self, request: Request) -> Request:
        """The same with the words of its source, and checked."""
        words = source_words(request.src, self._tokenizer)
        request = dataclasses.replace(request, source_words=words)
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


def _automaton(spelling: PieceTexts, phrases: tuple[str, ...]) -> Callable[[], Automaton]:
    return partial(spelling.automaton, phrases)
