"""Word sources: where in a text, as it was given, each word of its translation comes from."""

# Shapes: T words of a translation, S words of its source.

import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from model.text.normalization import normalize_source
from model.text.segmentation import Plan
from model.text.tokenizer import SPACE_MARK, Tokenizer
from model.text.word_places import Span, kept_places, word_places
from model.translation.alignment import word_count, word_numbers

LEAST = 0.25
"""Besides the source word with most of a word's attention, those with at least this share of it."""


def attended_words(
    weights: Tensor, source: Sequence[str], target: Sequence[str]
) -> list[tuple[int, ...]]:
    """For each word of a translation the source words that it comes from, in their order.

    These are the one with most of its attention and any other with `LEAST` or more. A word that
    stands in the source comes from nowhere else: only where it stands is compared.

    Args:
        weights: (T, S) the soft alignment of words, see `model.translation.alignment.word_weights`.
        source, target: the pieces.
    """
    if not weights.numel():
        return [()] * len(weights)
    found: list[tuple[int, ...]] = []
    for row, same in zip(weights.numpy(), _standing(source, target), strict=True):
        among = np.array(same) if same else np.arange(len(row))
        chosen = row[among] >= LEAST
        chosen[row[among].argmax()] = True
        found.append(tuple(among[chosen].tolist()))
    return found


def pointed_words(
    alignment: Sequence[int], source: Sequence[str], target: Sequence[str]
) -> list[tuple[int, ...]]:
    """The same as `attended_words` if only the place with most attention is known.

    Each piece of a word then gives all its attention to that place. A word that stands in the
    source, but where none of its pieces attended, comes from where it stands nearest.

    Args:
        alignment: for each piece of the translation, which source piece it attended to most.
        source, target: the pieces.
    """
    words = word_numbers(source)
    votes: list[Counter[int]] = [Counter() for _ in range(word_count(target))]
    for word, place in zip(word_numbers(target), alignment, strict=True):
        votes[word][words[place]] += 1
    found: list[tuple[int, ...]] = []
    for each, same in zip(votes, _standing(source, target), strict=True):
        most = min(each, key=lambda word: (-each[word], word))
        if same and not each.keys() & same:
            found.append((min(same, key=lambda word: (abs(word - most), word)),))
            continue
        among = {word: each[word] for word in same if word in each} or each
        most = min(among, key=lambda word: (-among[word], word))
        least = LEAST * each.total()
        found.append(tuple(sorted(w for w, n in among.items() if w == most or n >= least)))
    return found


Places = tuple[Span, ...]
"""The places in a text that a word comes from, in their order."""


def traced(words: Sequence[Sequence[int]], places: Sequence[Places]) -> tuple[Places, ...]:
    """For each word of a translation, given by its source words, all places that these come from.

    Args:
        places: those of each source word.
    """
    return tuple(tuple(sorted({span for word in each for span in places[word]})) for each in words)


def plan_places(plan: Plan, tokenizer: Tokenizer) -> list[list[Places]]:
    """For each part of `plan` the places of its words in the text as it was given."""
    if plan.origins:  # around its source there is nothing but white space
        return [[] if isinstance(part, str) else list(plan.origins) for part in plan.parts]
    return [
        [(one,) for one in kept_places(part, plan.text, place, plan.normalization)]
        if isinstance(part, str)
        else [(one,) for one in source_places(part, place, plan, tokenizer)]
        for part, place in zip(plan.parts, plan.places, strict=True)
    ]


class WordSources:
    """The sources of the words of a text, built from its parts and the text kept between them.

    Kept text, such as a bullet, comes from itself. Characters without white space between them make
    one word, which comes from all that its parts come from.
    """

    def __init__(self) -> None:
        self.words: list[Places] = []
        """For each word of the translation the places that it comes from."""
        self._open = False  # whether what follows continues a word

    def keep(self, text: str, places: Sequence[Places]) -> None:
        """Add `text`, which stands unchanged in the translation, with the places of its words."""
        if text:
            self._add(places, joined=not text[0].isspace())
            self._open = not text[-1].isspace()

    def add(self, sources: Sequence[Places], translated: str) -> None:
        """Add a part, with the places that the words of `translated` come from."""
        self._add(sources, joined=True)
        if translated:
            self._open = not translated[-1].isspace()

    def _add(self, words: Sequence[Places], *, joined: bool) -> None:
        if words and joined and self._open:
            self.words[-1] = tuple(sorted({*self.words[-1], *words[0]}))
            words = words[1:]
        self.words += words


def source_places(
    source: Sequence[int], place: Span, plan: Plan, tokenizer: Tokenizer
) -> list[Span]:
    """The places of the words of `source`, which stands at `place`."""
    places = word_places(plan.text, place, plan.normalization)
    if tokenizer.mark_ids:
        return places
    # A foreign tokenizer, whose own normalisation can split words and leave some out.
    words = [normalize_source(plan.text[start:end], plan.normalization) for start, end in places]
    found = [
        each
        for each, ids in zip(places, tokenizer.encode_lines(words), strict=True)
        for _ in range(word_count([tokenizer.piece(id) for id in ids]))
    ]
    count = word_count([tokenizer.piece(id) for id in source])
    # If it joins words, only the whole is known.
    return found if len(found) == count else [place] * count


def _standing(source: Sequence[str], target: Sequence[str]) -> list[list[int]]:
    """For each word of a translation the words of the source that are the same."""
    places: dict[str, list[int]] = {}
    for number, word in enumerate(_words(source)):
        places.setdefault(word, []).append(number)
    return [places.get(word, []) for word in _words(target)]


def _words(pieces: Sequence[str]) -> list[str]:
    """The words without the signs at their ends, which an extract may have lost or got."""
    words = [""] * word_count(pieces)
    for number, piece in zip(word_numbers(pieces), pieces, strict=True):
        words[number] += piece.strip(SPACE_MARK)
    return list(map(_bare, words))


def _bare(word: str) -> str:
    """`word` without punctuation and symbols at its ends; a word of nothing else as it is."""
    kept = [place for place, char in enumerate(word) if unicodedata.category(char)[0] not in "PS"]
    return word[kept[0] : kept[-1] + 1] if kept else word
