"""Source words: what an extractive search may copy, and whether phrases are made of it.

Words are what spaces separate; signs at the end of one may be left out.
"""

import unicodedata
from collections.abc import Sequence

import torch

from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.decoding.rules.extraction import SourceWords, WordsTaken, rows_of
from model.errors import RequestError
from model.text.names import names_of, stands_in
from model.text.tokenizer import EOS_ID, SPACE_MARK, Tokenizer


def source_words(src: Sequence[int], tokenizer: Tokenizer) -> tuple[tuple[int, ...], ...]:
    """The pieces of each word of `src` that can be copied, in order.

    Left out are words with an unknown piece, which is never written, and pieces before the first
    space, which no tokenizer of Dragoman's has.
    """
    words: list[list[int]] = []
    for id in src:
        if tokenizer.piece(id).startswith(SPACE_MARK):
            words.append([id])
        elif words:
            words[-1].append(id)
    return tuple(
        tuple(word) for word in words if min(word) > EOS_ID and tokenizer.decode(word).strip()
    )


def source_signs(words: Sequence[Sequence[int]], tokenizer: Tokenizer) -> tuple[int, ...]:
    """For each word how many pieces at its end are signs, which an extract may leave out.

    Signs are punctuation and symbols. A word of nothing else is whole.
    """
    counts = []
    for word in words:
        signs = [_is_sign(tokenizer.piece(id)) for id in word]
        written = max(
            (place for place, sign in enumerate(signs) if not sign), default=len(word) - 1
        )
        counts.append(len(word) - 1 - written)
    return tuple(counts)


def _is_sign(piece: str) -> bool:
    """Whether a piece has no letter, digit or mark; a byte may be part of one."""
    if piece.startswith("<0x"):
        return False
    return all(unicodedata.category(char)[0] in "PS" for char in piece.strip(SPACE_MARK))


def check_extract(request: Request) -> None:
    """Check that the words which an extractive `request` demands are there in its source.

    Raises:
        RequestError: they are not.
    """
    options = request.options
    there = len(request.source_words or ())
    if options.extractive == "subsequence" and request.min_words > there:
        name = "min_words" if options.min_words else "ratio"
        raise RequestError(
            f"{name}: {request.min_words} words are the least, but the source has {there} that can "
            f"be taken, as extractive asks for. Lower {name}, or leave it out."
        )
    if request.prefix and _reached(request, request.prefix) != (True, True):
        raise RequestError(
            "{} cannot begin an output of words of the source, as extractive asks for. Give "
            f"{_wanted(options)}, or leave it out.",
            field="prefix",
            quoted=(options.prefix,),
        )
    for text, pieces in zip(options.constraints, request.constraints, strict=True):
        if not _reached(request, pieces)[0]:
            raise RequestError(
                "{} cannot stand in an output of words of the source, as extractive asks for. "
                f"Give {_wanted(options)}, or leave it out.",
                field="constraints",
                quoted=(text,),
            )


def check_names(options: SearchOptions, source: str) -> None:
    """Check that the names which a search demands stand in `source`, if it invents none.

    Raises:
        RequestError: one does not.
    """
    for field, texts in (("prefix", (options.prefix,)), ("constraints", options.constraints)):
        for name in (name for text in texts for name in names_of(text)):
            if not stands_in(name, source):
                raise RequestError(
                    "{} does not stand in the text, as extractive asks of acronyms, words with "
                    "inner capitals, and numbers. Write it as the text does, or leave it out.",
                    field=field,
                    quoted=(name,),
                )


def _wanted(options: SearchOptions) -> str:
    in_order = options.extractive == "subsequence"
    return "whole words of the text" + (" in its order" if in_order else "")


def _reached(request: Request, pieces: Sequence[int]) -> tuple[bool, bool]:
    """Whether an extract can begin with `pieces`, and whether they end in a whole word."""
    width = rows_of(max(1, len(request.src)))
    words = SourceWords.of(request.source_words or (), width, request.source_signs)
    words = SourceWords(*(field.unsqueeze(0) for field in words))
    in_order = torch.tensor([request.options.extractive == "subsequence"])
    none = torch.zeros(1, 1, dtype=torch.long)
    taken = WordsTaken(none, none)
    room = torch.tensor([len(request.src)])  # that there is room for them is checked elsewhere
    for piece in pieces:
        possible, _ = taken.possible(words, in_order, room, none, in_order)
        if not (possible[0, 0] & (words.piece[0] == piece)).any():
            return False, False
        taken = taken.after(words, in_order, torch.tensor([[piece]]))
    return True, bool(taken.completed(words, in_order)[0])
