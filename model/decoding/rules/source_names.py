"""Source names: no acronym, word with inner capitals, or number of a hypothesis is invented.

`model.text.names` says what such a name is and when it stands in the source. All other words are
free. What may follow depends on the word that a hypothesis stands in, and of that word only on
this: whether it is a name yet, and where the source could go on with it. These are the states of an
automaton that is built as far as hypotheses reach, for one source. In a state most pieces are
allowed or not whatever the source is, by a table for all; a source adds pieces that spell its
names, found by their text.

A name is begun only if it can be completed within the length limit, so that no limit cuts one. Once
begun it is completed: until then only this rule counts.
"""

# Shapes: M sentences, K hypotheses, V vocabulary, P pieces of all hypotheses that a source adds.

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.decoding.automaton import Automaton
from model.text.names import folded
from model.text.tokenizer import EOS_ID

NEW = 0
"""The state between words, in which every output begins."""
NEVER = 2**31
"""More pieces than any output has."""

_NAME, _OPEN, _PART = 3, 4, 5  # kinds of words, see `_Word.kind`
_Numbers = NDArray[np.int64]


class _Word(NamedTuple):
    """The word that a hypothesis stands in, as far as it matters to what may follow."""

    begun: bool = False  # whether there was more than signs
    letter: bool = False
    name: bool = False
    found: bool = False  # whether it is a name of the source, without signs at its end
    places: tuple[int, ...] = ()  # in the text of the source, where it could go on
    part: bytes = b""  # of a character that is spelt in bytes

    @property
    def may_end(self) -> bool:
        return not self.name or self.found

    @property
    def kind(self) -> int:
        """The row of `NamePieces.forbidden`: 0 to 2 for words that are no names yet."""
        if not self.may_end:
            return _OPEN
        if self.part:
            return _PART
        return _NAME if self.name else self.begun + self.letter


class NamePieces:
    """The pieces of a vocabulary by their texts."""

    def __init__(self, texts: Sequence[str], byte_of: Mapping[int, int]) -> None:
        """
        Args:
            texts: of each piece, with its spaces; "" if it has none.
            byte_of: the bytes beyond ASCII that pieces stand for.
        """
        self.texts, self.byte_of = texts, byte_of
        self.folded = [folded(text) for text in texts]
        self.spaced = np.array([text[:1].isspace() for text in texts])
        self.odd: list[int] = []
        """Pieces with white space behind something else."""
        self.following: defaultdict[str, list[int]] = defaultdict(list)
        """Pieces that go on with a word, by their text without signs at its end."""
        self.whole: set[str] = set()
        """Their texts."""
        for id, text in enumerate(self.folded):
            if id in byte_of:
                continue
            if any(map(str.isspace, text.lstrip())):
                self.odd.append(id)
            elif text and not self.spaced[id]:
                self.following[_without_end(text)].append(id)
                self.whole.add(text)
        self.following.pop("", None)
        self.longest = max(len(text.strip()) for text in texts)

    @cached_property
    def forbidden(self) -> Tensor:
        """(6, V) bool: what words of each kind cannot take if the source has no name at all."""
        nothing = SourceNames(self, "")
        table = torch.ones(_PART + 1, len(self.texts), dtype=torch.bool)
        words = [_Word(), _Word(True), _Word(True, True), _Word(True, name=True, found=True)]
        for kind, word in enumerate(words):
            table[kind] = torch.tensor(
                [nothing.read(word, id) is None for id in range(len(self.texts))]
            )
        table[:, EOS_ID] = False
        table[_OPEN, EOS_ID] = True
        return table

    @cached_property
    def beginning(self) -> dict[str, list[int]]:
        """The pieces that begin a name, by their text without the signs around it."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        odd = set(self.odd)
        for id in self.forbidden[NEW].nonzero().flatten().tolist():
            if id not in odd and id not in self.byte_of:
                found[_without_start(_without_end(self.folded[id]))].append(id)
        return dict(found)


def _without_end(text: str) -> str:
    end = len(text)
    while end and not text[end - 1].isalnum():
        end -= 1
    return text[:end]


def _without_start(text: str) -> str:
    return _without_end(text[::-1])[::-1]


class Added(NamedTuple):
    """The pieces that a source adds in a state to those that are allowed anyway."""

    piece: _Numbers
    need: _Numbers  # pieces that have to follow before the output may end


class SourceNames:
    """The automaton of one source. A state is a number."""

    def __init__(self, pieces: NamePieces, source: str) -> None:
        """
        Args:
            source: the text of the source, as it is read.
        """
        self.pieces = pieces
        # Each word once, since it does not matter how often a name stands there; and a space.
        self._text = "".join(f"{word} " for word in dict.fromkeys(folded(source).split()))
        self._starts: dict[str, tuple[int, ...]] = {}
        for place, (before, here) in enumerate(pairwise(" " + self._text)):
            if here.isalnum() and not before.isalnum():
                self._starts[here] = (*self._starts.get(here, ()), place)
        self._words = [_Word()]
        self._numbers = {_Word(): NEW}
        self._following: dict[tuple[int, int], int | None] = {}
        self._added: dict[int, Added] = {}
        self._rest: dict[int, int] = {}
        self._fewest: dict[tuple[int, int], int] = {}

    def kind(self, state: int) -> int:
        """The row of `NamePieces.forbidden` for a state."""
        return self._words[state].kind

    def may_end(self, state: int) -> bool:
        """Whether the output may end here, and so may its last word."""
        return self._words[state].may_end

    def after(self, state: int, piece: int) -> int | None:
        """The state after a piece; None if no name of the source is spelt like that."""
        key = state, piece
        if key not in self._following:
            word = self.read(self._words[state], piece)
            if word is not None and word not in self._numbers:
                self._numbers[word] = len(self._words)
                self._words.append(word)
            self._following[key] = None if word is None else self._numbers[word]
        return self._following[key]

    def added(self, state: int) -> Added:
        """What the source adds in a state."""
        if state not in self._added:
            anyway = self.pieces.forbidden[self.kind(state)].logical_not().numpy()
            found = [
                (id, self._need(self._words[after]))
                for id in sorted(self._candidates(state))
                if not anyway[id] and (after := self.after(state, id)) is not None
            ]
            numbers = np.array([one for one in found if one[1] < NEVER], np.int64).reshape(-1, 2)
            if state != NEW and self.may_end(state) and not self._words[state].part:
                fresh = self.added(NEW)
                spaced = self.pieces.spaced[fresh.piece]
                numbers = np.concatenate([numbers, np.stack(fresh, axis=1)[spaced]])
            self._added[state] = Added(numbers[:, 0], numbers[:, 1])
        return self._added[state]

    def fewest(self, state: int, automaton: Automaton, avoiding: int) -> int:
        """The fewest pieces that complete the name of `state` and no phrase of `automaton`.

        `NEVER` if there are none. It has to be the same automaton in every call.
        """
        if self.may_end(state):
            return 0
        if (state, avoiding) not in self._fewest:
            self._fewest[state, avoiding] = self._search(state, automaton, avoiding)
        return self._fewest[state, avoiding]

    def _search(self, state: int, automaton: Automaton, avoiding: int) -> int:
        reached, count = {(state, avoiding)}, 0
        while reached:  # it ends, because a name does
            count += 1
            further = set()
            for number, avoided in reached:
                for piece in self.added(number).piece.tolist():
                    after = self.after(number, piece)
                    if after is None or automaton.forbidden[avoided, piece]:
                        continue
                    if self.may_end(after):
                        return count
                    further.add((after, int(automaton.following[avoided, piece])))
            reached = further
        return NEVER

    # How words are read

    def read(self, word: _Word, piece: int) -> _Word | None:
        """The word after a piece; None if it can then be no name of the source any more."""
        pieces = self.pieces
        if piece in pieces.byte_of:
            return self._read_byte(word, pieces.byte_of[piece])
        if word.part or not pieces.texts[piece]:
            return None
        for character, low in zip(pieces.texts[piece], pieces.folded[piece], strict=True):
            after = self._read(word, character, low)
            if after is None:
                return None
            word = after
        return word

    def _read(self, word: _Word, character: str, low: str) -> _Word | None:
        if character.isspace():
            return _Word() if word.may_end else None
        if not character.isalnum():
            if not word.begun:
                return word
            after = word._replace(places=self._behind(word.places, low))
            return after if after.may_end else None
        places = word.places if word.begun else self._starts.get(low, ())
        places = self._behind(places, low)
        letter = character.isalpha()
        name = (
            word.name or character.isdecimal() or (letter and word.letter and character.isupper())
        )
        found = name and any(not self._text[place].isalnum() for place in places)
        return (
            _Word(True, word.letter or letter, name, found, places) if places or not name else None
        )

    def _behind(self, places: Iterable[int], low: str) -> tuple[int, ...]:
        return tuple(place + 1 for place in places if self._text[place] == low)

    def _read_byte(self, word: _Word, byte: int) -> _Word | None:
        """The same for a byte beyond ASCII. Only UTF-8 is written, and in a name the source's."""
        part = word.part + bytes([byte])
        whole = word._replace(part=b"")
        try:
            character = part.decode()
        except UnicodeDecodeError as error:
            if error.reason != "unexpected end of data":
                return None
            after = word._replace(part=part)
            return after if not word.name or self._spelt(after) else None
        return self._read(whole, character, folded(character))

    def _spelt(self, word: _Word) -> list[tuple[int, int]]:
        """The places whose characters begin with `word.part`, and the bytes missing there."""
        found = []
        for place in word.places:
            low = self._text[place]
            for form in (low, low.upper()):
                if len(form) == 1 and form.encode().startswith(word.part):
                    found.append((place, len(form.encode()) - len(word.part)))
        return found

    # What may follow

    def _candidates(self, state: int) -> Iterable[int]:
        """All pieces that the source may add in a state, and some that it does not."""
        word, pieces = self._words[state], self.pieces
        if word.part:
            return pieces.byte_of
        found = set(pieces.odd)
        if not word.begun:
            for starts in self._starts.values():
                for place in starts:
                    found.update(self._spelling(pieces.beginning, place))
        for place in word.places:
            found.update(self._spelling(pieces.following, place))
        if any(not self._text[place].isascii() for place in word.places):
            found.update(pieces.byte_of)
        return found

    def _spelling(self, texts: Mapping[str, Sequence[int]], place: int) -> Iterable[int]:
        """The pieces whose text stands at a place of the source."""
        for end in self._ends(place):
            yield from texts.get(self._text[place:end], ())

    def _ends(self, place: int) -> range:
        """Where pieces that stand at a place may end: in the same word, and none is too long."""
        return range(place + 1, min(self._text.find(" ", place), place + self.pieces.longest) + 1)

    def _need(self, word: _Word) -> int:
        """The fewest pieces before the word may end; `NEVER` if the vocabulary cannot spell it."""
        if word.may_end:
            return 0
        if word.part:
            return min(bytes_ + self._rest_at(place + 1) for place, bytes_ in self._spelt(word))
        return min(map(self._rest_at, word.places))

    def _rest_at(self, place: int) -> int:
        """The fewest pieces from a place to the end of the run of letters that it is in."""
        if place not in self._rest:
            for at in range(self._text.find(" ", place), place - 1, -1):
                self._rest[at] = self._rest_from(at)
        return self._rest[place]

    def _rest_from(self, place: int) -> int:
        """See `_rest_at`; the places behind this one are known."""
        character, pieces, rest = self._text[place], self.pieces, self._rest
        if not character.isalnum():
            return 0
        best = NEVER
        if not character.isascii() and set(character.encode()) <= set(pieces.byte_of.values()):
            best = len(character.encode()) + rest[place + 1]
        for end in self._ends(place):
            text = self._text[place:end]
            if text in pieces.whole or (text in pieces.following and not rest[end]):
                best = min(best, 1 + rest[end])
        return min(best, NEVER)


class NameTable(NamedTuple):
    """What hypotheses may take next."""

    forbidden: Tensor  # (M, K, V) bool, before the pieces below are added
    may_end: Tensor  # (M, K) bool
    hypothesis: Tensor  # (P,) long, among M * K
    piece: Tensor  # (P,) long
    need: Tensor  # (P,) long: see `Added`

    @classmethod
    def of(
        cls, names: Sequence[SourceNames], states: Sequence[Sequence[int]], device: torch.device
    ) -> "NameTable":
        """The table for hypotheses in these states (M, K)."""
        kinds = [[own.kind(state) for state in row] for own, row in zip(names, states, strict=True)]
        tables = [
            own.pieces.forbidden[torch.tensor(row)] for own, row in zip(names, kinds, strict=True)
        ]
        added = [own.added(state) for own, row in zip(names, states, strict=True) for state in row]
        counts = [len(one.piece) for one in added]
        parts = (
            np.repeat(np.arange(len(added)), counts),
            np.concatenate([one.piece for one in added]),
            np.concatenate([one.need for one in added]),
        )
        return cls(
            torch.stack(tables).to(device),
            (torch.tensor(kinds) != _OPEN).to(device),
            *(torch.from_numpy(part).to(device) for part in parts),
        )
