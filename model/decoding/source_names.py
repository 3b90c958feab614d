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

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
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
_RUN = re.compile(r"[^\W_]+")  # of letters and digits
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


class Spelling(NamedTuple):
    """Pieces with the same text, but for case and signs around it."""

    bare: list[int]
    """Pieces without signs at their end."""
    ended: list[int]
    """Pieces with signs there."""


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
        self.odd = [id for id, text in enumerate(texts) if len(text.split()) > 1]
        self.odd += [id for id, text in enumerate(texts) if text.strip() and text[-1].isspace()]
        """Pieces with white space behind something else."""
        self.spaced = np.array([text[:1].isspace() for text in texts])
        """(V,) bool: whether a piece ends the word before it, and is not odd."""
        self.spaced[self.odd] = False
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
    def spellings(self) -> list[dict[str, Spelling]]:
        """For kinds of words but the last, pieces that they cannot take anyway, by their text.

        The text is without signs at its end; for new words, which signs may begin, without any
        around it.
        """
        return [self._spellings(kind) for kind in range(_PART)]

    def _spellings(self, kind: int) -> dict[str, Spelling]:
        found: defaultdict[str, Spelling] = defaultdict(lambda: Spelling([], []))
        left_out = {*self.odd, *self.byte_of}
        for id in self.forbidden[kind].nonzero().flatten().tolist():
            if id in left_out or (kind != NEW and self.spaced[id]):
                continue
            text = self.folded[id].strip()
            core = _without_end(text)
            spelling = found[core if kind != NEW else _without_end(core[::-1])[::-1]]
            (spelling.bare if text == core else spelling.ended).append(id)
        found.pop("", None)
        return dict(found)


def _without_end(text: str) -> str:
    end = len(text)
    while end and not text[end - 1].isalnum():
        end -= 1
    return text[:end]


class Added(NamedTuple):
    """The pieces that a source adds in a state to those that are allowed anyway."""

    piece: _Numbers
    opens: _Numbers  # 1 where the output must go on after it, else 0


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
        for run in _RUN.finditer(self._text):
            first = run.group()[0]
            self._starts[first] = (*self._starts.get(first, ()), run.start())
        self._words = [_Word()]
        self._numbers = {_Word(): NEW}
        self._following: dict[tuple[int, int], int | None] = {}
        self._added: dict[int, Added] = {}
        self._needs: dict[int, _Numbers] = {}
        self._rest: dict[int, int] = {}
        self._fewest: dict[tuple[int, int], int] = {}

    @cached_property
    def longest(self) -> int:
        """Pieces that complete any name, from wherever in it; `NEVER` if one cannot be spelt."""
        single, bytes_ = self.pieces.spellings[_OPEN], set(self.pieces.byte_of.values())
        runs = _RUN.findall(self._text)
        longest = max(map(len, runs), default=0)
        for character in set("".join(runs)):
            if character not in single or not single[character].bare:
                if character.isascii() or not set(character.encode()) <= bytes_:
                    return NEVER
                longest = max(longest, max(len(run.encode()) for run in runs))
        return longest

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
            self._added[state] = self._add(state)
        return self._added[state]

    def needs(self, state: int) -> _Numbers:
        """For the pieces of `added`, how many have to follow before the output may end.

        `NEVER` where the vocabulary cannot spell the rest of the name.
        """
        if state not in self._needs:
            added = self.added(state)
            needs = added.opens.copy()
            for place in needs.nonzero()[0].tolist():
                after = self.after(state, int(added.piece[place]))
                assert after is not None, "what is added can be read"
                needs[place] = self._need(self._words[after])
            self._needs[state] = needs
        return self._needs[state]

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
                    following = int(automaton.following[avoided, piece])
                    if after is None or following < 0:
                        continue
                    if self.may_end(after):
                        return count
                    further.add((after, following))
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
        text = self._text
        return tuple([place + 1 for place in places if text[place] == low])

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
            return after if not word.name or self._bytes_left(after) else None
        return self._read(whole, character, folded(character))

    def _bytes_left(self, word: _Word) -> list[tuple[int, int]]:
        """The places whose characters begin with `word.part`, and the bytes missing there."""
        found = []
        for place in word.places:
            low = self._text[place]
            for form in (low, low.upper()):
                if len(form) == 1 and form.encode().startswith(word.part):
                    found.append((place, len(form.encode()) - len(word.part)))
        return found

    # What may follow

    def _add(self, state: int) -> Added:
        word, pieces = self._words[state], self.pieces
        numbers = []
        if not word.part:
            starts = itertools.chain(*self._starts.values()) if state == NEW else word.places
            for spelling, may_end in self._spelt(pieces.spellings[word.kind], starts):
                numbers += [(id, int(not may_end)) for id in spelling.bare]
                numbers += [(id, 0) for id in spelling.ended if may_end]
        in_bytes = word.part or any(not self._text[place].isascii() for place in word.places)
        for id in (*pieces.odd, *(pieces.byte_of if in_bytes else ())):
            after = self.after(state, id)
            if after is not None and pieces.forbidden[word.kind, id]:
                numbers.append((id, int(not self.may_end(after))))
        table = np.array(sorted(numbers), np.int64).reshape(-1, 2)
        if state != NEW and word.may_end and not word.part:
            new = np.stack(self.added(NEW), axis=1)
            table = np.concatenate([table, new[pieces.spaced[new[:, 0]]]])
        return Added(table[:, 0], table[:, 1])

    def _spelt(
        self, spellings: Mapping[str, Spelling], places: Iterable[int]
    ) -> Iterable[tuple[Spelling, bool]]:
        """The pieces whose text stands at one of the places; and whether a name can end there."""
        found: dict[str, bool] = {}
        for place in places:
            for end in self._ends(place):
                text = self._text[place:end]
                if text in spellings:
                    found[text] = found.get(text, False) or not self._text[end].isalnum()
        return [(spellings[text], may_end) for text, may_end in found.items()]

    def _ends(self, place: int) -> range:
        """Where pieces that stand at a place may end: in the same word, and none is too long."""
        return range(place + 1, min(self._text.find(" ", place), place + self.pieces.longest) + 1)

    def _need(self, word: _Word) -> int:
        """The fewest pieces before the word may end; `NEVER` if the vocabulary cannot spell it."""
        if word.may_end:
            return 0
        if word.part:
            return min(
                bytes_ + self._rest_at(place + 1) for place, bytes_ in self._bytes_left(word)
            )
        return min(map(self._rest_at, word.places))

    def _rest_at(self, place: int) -> int:
        """The fewest pieces from a place to the end of the run of letters that it is in."""
        if place not in self._rest:
            end = place
            while end not in self._rest and self._text[end] != " ":
                end += 1
            for at in range(end, place - 1, -1):
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
        spellings = pieces.spellings[_OPEN]
        for end in self._ends(place):
            found = spellings.get(self._text[place:end])
            if found is not None and (found.bare or not rest[end]):
                best = min(best, 1 + rest[end])
        return min(best, NEVER)


class NameTable(NamedTuple):
    """What hypotheses may take next, all of one vocabulary."""

    pieces: NamePieces
    kind: Tensor  # (M, K) long: row of `NamePieces.forbidden`
    hypothesis: Tensor  # (P,) long, among M * K
    piece: Tensor  # (P,) long: added to those that are not forbidden
    need: Tensor  # (P,) long: as `SourceNames.needs`, or any lower one where there is room anyway

    @classmethod
    def of(
        cls,
        names: Sequence[SourceNames],
        states: Sequence[Sequence[int]],
        room: Sequence[Sequence[int]],
        device: torch.device,
    ) -> "NameTable":
        """The table for hypotheses in these states (M, K), with room for so many pieces (M, K)."""
        kinds = [[own.kind(state) for state in row] for own, row in zip(names, states, strict=True)]
        pieces, needs = [], []
        for own, row, left in zip(names, states, room, strict=True):
            for state, spare in zip(row, left, strict=True):
                piece, opens = own.added(state)
                pieces.append(piece)
                needs.append(opens if spare > own.longest else own.needs(state))
        hypothesis = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
        numbers = np.stack([hypothesis, np.concatenate(pieces), np.concatenate(needs)])
        return cls(
            names[0].pieces,
            torch.tensor(kinds, device=device),
            *torch.from_numpy(numbers).to(device).unbind(0),
        )

    @property
    def opens(self) -> Tensor:
        """(M, K) bool: which hypotheses stand within a name that has to be completed."""
        return self.kind == _OPEN

    def forbid(self, log_probs: Tensor, possible: Tensor) -> None:
        """Set `log_probs` (M, K, V) of all other pieces to -inf.

        Args:
            log_probs: contiguous.
            possible: (P,) bool, which of the pieces that sources add may be taken.
        """
        flat = log_probs.view(-1, log_probs.shape[2])
        where = self.hypothesis[possible], self.piece[possible]
        added = flat[where]
        for kind, forbidden in enumerate(self.pieces.forbidden.to(flat.device)):
            rows = (self.kind.flatten() == kind).nonzero()
            if kind < _NAME:  # most rows, of which few pieces are forbidden
                flat[rows, forbidden.nonzero().flatten()] = -torch.inf
            else:
                rows = rows.flatten()
                flat[rows] = flat[rows].masked_fill_(forbidden, -torch.inf)
        flat[where] = added
