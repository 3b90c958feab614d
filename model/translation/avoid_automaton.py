"""Avoid: an automaton that finds phrases in whatever pieces they are spelt.

It finds a phrase where `model.text.words.occurs` does, as whole words.
"""

# Shapes: V vocabulary, L longest piece in characters, Q states, C classes of characters.

from collections.abc import Sequence

import numpy
import torch
from torch import Tensor

from model.decoding.automaton import Automaton
from model.decoding.rules.word_limits import PieceWords
from model.decoding.source_names import NamePieces
from model.text.tokenizer import EOS_ID, SPACE_MARK, Tokenizer
from model.text.words import joins

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
        """
        characters = sorted(set("".join(phrases)))
        steps, ends = _explore(phrases, characters)
        count = len(steps)  # also the number of the state for "found"
        # A column for each class: each character, others that join, others that do not, none.
        table = numpy.array(
            [[*row, q] for q, row in enumerate([*steps, [count] * len(steps[0])])],
            dtype=numpy.int32,
        )
        classes = numpy.where(self._joins, len(characters), len(characters) + 1)
        for number, character in enumerate(characters):
            classes[self._codes == ord(character)] = number
        classes[self._codes < 0] = len(characters) + 2
        state = numpy.repeat(numpy.arange(count)[:, None], len(classes), axis=1)  # (Q, V)
        for column in classes.T:
            state = table[state, column]
        forbidden = numpy.array([*ends, True])[state]
        state[forbidden] = 0  # never entered
        return Automaton(torch.from_numpy(state.astype(numpy.int32)), torch.from_numpy(forbidden))


def _text(piece: str, id: int, is_byte: bool) -> str:
    """The text of a piece with its spaces; "" for a control piece."""
    if id <= EOS_ID:
        return ""
    if is_byte:
        byte = int(piece[3:5], 16)
        return chr(byte) if byte < 0x80 else "\ufffd"
    return piece.replace(SPACE_MARK, " ")


def _explore(
    phrases: Sequence[str], characters: Sequence[str]
) -> tuple[list[list[int]], list[bool]]:
    """The states that reading can lead to, numbered from `START`.

    Returns:
        For each state, the next one for each class of characters, the number of states standing for
        "found"; and for each state, whether a phrase has just been read.
    """
    numbers = {START: 0}
    found = []
    classes = [(c, joins(c)) for c in characters] + [("", True), ("", False)]
    order = [START]
    for state in order:
        row = [_read(state, character, joining, phrases) for character, joining in classes]
        for after in row:
            if after is not None and after not in numbers:
                numbers[after] = len(order)
                order.append(after)
        found.append(row)
    steps = [[len(order) if s is None else numbers[s] for s in row] for row in found]
    return steps, [any(n == len(phrases[i]) for i, n in active) for _, active in order]


def _read(state: _State, character: str, joining: bool, phrases: Sequence[str]) -> _State | None:
    """The state after a character; None if it completes a phrase. "" is in no phrase."""
    joined, active = state
    after = set()
    for i, n in active:
        if n == len(phrases[i]):  # read in full, and waiting for its word to end
            if not joining:
                return None
        elif phrases[i][n] == character:
            after.add((i, n + 1))
    for i, phrase in enumerate(phrases):
        if phrase[0] == character and not (joined and joining):
            after.add((i, 1))
    if any(n == len(phrases[i]) and not joins(phrases[i][-1]) for i, n in after):
        return None
    return joining, frozenset(after)
