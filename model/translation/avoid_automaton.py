"""Avoid: an automaton that finds phrases in whatever pieces they are spelt.

It finds a phrase where `model.text.words.occurs` does, as whole words.
"""

# Shapes: V vocabulary, L longest piece in characters, Q states, C classes of characters.

from collections.abc import Sequence

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.decoding.automaton import Automaton
from model.decoding.rules.word_limits import PieceWords
from model.decoding.source_names import NamePieces
from model.text.tokenizer import EOS_ID, SPACE_MARK, Tokenizer
from model.text.words import joins

_Array = NDArray[numpy.int64]
_Active = frozenset[tuple[int, int]]  # (phrase, how many of its characters were just read)
_State = tuple[bool, _Active]  # whether the last character `joins`; partial occurrences
START: _State = (False, frozenset())


class PieceTexts:
    """The texts of the pieces of a tokenizer.

    A byte piece beyond ASCII is not a character by itself: it counts as one that occurs nowhere.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        byte_pieces = set(tokenizer.byte_pieces())
        ids = range(tokenizer.vocab_size)
        texts = [_text(tokenizer.piece(id), id, id in byte_pieces) for id in ids]
        self.alphabet = {character for text in texts for character in text}
        self._codes = numpy.full((len(texts), max(map(len, texts))), -1)  # (V, L)
        for row, text in zip(self._codes, texts, strict=True):
            row[: len(text)] = [ord(character) for character in text]
        self._lengths = (self._codes >= 0).sum(axis=1)
        joining = [ord(character) for character in self.alphabet if joins(character)]
        self._joins = numpy.isin(self._codes, joining)
        # A byte of some character is taken to continue the word.
        continues = [text[:1] == "\ufffd" or (text != "" and joins(text[0])) for text in texts]
        self.continues: Tensor = torch.tensor(continues)
        """(V,) bool: whether a piece continues the word before it."""
        self.words = PieceWords.of(texts)
        high = [id for id in byte_pieces if texts[id] == "\ufffd"]
        self.names = NamePieces(texts, {id: int(tokenizer.piece(id)[3:5], 16) for id in high})

    def automaton(self, phrases: Sequence[str]) -> Automaton:
        """The automaton that forbids the pieces that would complete one of the `phrases`.

        A word that continues is another word, but only within one piece: after "Mann" a search that
        must not end the word would have to invent one.

        It is made between two steps of a search, so it has to take milliseconds: from most states,
        most pieces lead where they lead without a phrase begun.
        """
        characters = sorted(set("".join(phrases)))
        states, table = _explore(phrases, characters)
        number = numpy.full(len(states) + 1, -1)  # a phrase that was read in full is found
        kept = [q for q, state in enumerate(states) if not _complete(state, phrases)]
        number[kept] = range(len(kept))
        classes = self._classes(characters)
        groups = [numpy.flatnonzero(classes[:, 0] == k) for k in range(len(characters))]
        every = numpy.arange(len(classes))
        plain = {
            joined: number[self._walk(table, states.index((joined, frozenset())), classes, every)]
            for joined in (False, True)
        }
        empty = self._lengths == 0
        following = numpy.empty((len(kept), len(classes)), _narrowest(len(kept)))
        for row, q in zip(following, kept, strict=True):
            joined, active = states[q]
            row[:] = plain[joined]
            row[empty] = number[q]
            for k in {characters.index(phrases[i][n]) for i, n in active}:
                # Only what goes on with a phrase leads elsewhere.
                row[groups[k]] = number[self._walk(table, q, classes, groups[k])]
        return Automaton(torch.from_numpy(following))

    def _classes(self, characters: Sequence[str]) -> _Array:
        """The class (V, L) of each character of each piece, in the order of `_explore`."""
        known = numpy.array([ord(character) for character in characters])
        place = numpy.searchsorted(known, self._codes).clip(max=len(known) - 1)
        others = numpy.where(self._joins, len(known), len(known) + 1)
        classes = numpy.where(known[place] == self._codes, place, others)
        classes[self._codes < 0] = len(known) + 2
        return classes

    def _walk(self, table: _Array, state: int, classes: _Array, pieces: _Array) -> _Array:
        """The state after each of `pieces`, read from `state` on."""
        reached = numpy.full(len(pieces), state)
        longest = self._lengths[pieces].max(initial=0)
        for column in classes[pieces, :longest].T:
            reached = table[reached, column]
        return reached


def _text(piece: str, id: int, is_byte: bool) -> str:
    """The text of a piece with its spaces; "" for a control piece."""
    if id <= EOS_ID:
        return ""
    if is_byte:
        byte = int(piece[3:5], 16)
        return chr(byte) if byte < 0x80 else "\ufffd"
    return piece.replace(SPACE_MARK, " ")


def _explore(phrases: Sequence[str], characters: Sequence[str]) -> tuple[list[_State], _Array]:
    """The states that reading can lead to, from `START` on.

    Returns:
        The states, and (Q + 1, C) the number of the next one for each class: each of the characters
        in their order, others that join, others that do not, and none. Q stands for "found".
    """
    classes = [*((c, joins(c)) for c in characters), ("", True), ("", False)]
    parting = numpy.array([not joining for _, joining in classes])
    begun: dict[str, list[int]] = {}
    for i, phrase in enumerate(phrases):
        begun.setdefault(phrase[0], []).append(i)
    numbers = {START: 0}
    states = [START]

    def read(state: _State, character: str, joining: bool) -> int:
        after = _read(state, character, joining, phrases, begun.get(character, []))
        if after is not None and after not in numbers:
            numbers[after] = len(states)
            states.append(after)
        return -1 if after is None else numbers[after]

    plain = {
        joined: numpy.array([read((joined, frozenset()), *one) for one in classes])
        for joined in (False, True)
    }
    rows = []
    for state in states:
        joined, active = state
        row = plain[joined].copy()  # what does not go on with a phrase leads to the same states
        if _complete(state, phrases):
            row[parting] = -1
        for character in {phrases[i][n] for i, n in active if n < len(phrases[i])}:
            row[characters.index(character)] = read(state, character, joins(character))
        rows.append(row)
    found = len(states)
    table = numpy.array([*rows, numpy.full(len(classes), found)])
    table[table < 0] = found
    return states, numpy.column_stack([table, numpy.arange(found + 1)])


def _complete(state: _State, phrases: Sequence[str]) -> bool:
    """Whether a phrase has just been read in full, and only waits for its word to end."""
    return any(n == len(phrases[i]) for i, n in state[1])


def _narrowest(states: int) -> type[numpy.int16] | type[numpy.int32]:
    return numpy.int16 if states <= numpy.iinfo(numpy.int16).max else numpy.int32


def _read(
    state: _State, character: str, joining: bool, phrases: Sequence[str], begun: Sequence[int]
) -> _State | None:
    """The state after a character; None if it completes a phrase. "" is in no phrase.

    `begun` are the phrases that begin with it.
    """
    joined, active = state
    after = set()
    for i, n in active:
        if n == len(phrases[i]):  # read in full, and waiting for its word to end
            if not joining:
                return None
        elif phrases[i][n] == character:
            after.add((i, n + 1))
    if not (joined and joining):
        after |= {(i, 1) for i in begun}
    if any(n == len(phrases[i]) and not joins(phrases[i][-1]) for i, n in after):
        return None
    return joining, frozenset(after)
