"""Avoid: the texts of pieces, and the automaton that finds phrases however they are spelt.

A phrase is found where `model.text.words.occurs` finds it, as whole words.
"""

# Shapes: V vocabulary, L longest piece in characters, Q states, C classes of characters.

from collections.abc import Sequence

import numpy
import torch
from torch import Tensor

from model.decoding.automaton import Automaton
from model.text.tokenizer import EOS_ID, SPACE_MARK, Tokenizer
from model.text.words import joins

_Active = frozenset[tuple[int, int]]  # (phrase, characters of it that were just read)
_State = tuple[bool, _Active]  # the last character joins on; occurrences under way
START: _State = (False, frozenset())


class PieceTexts:
    """What is known of the texts of a tokenizer's pieces.

    A byte piece beyond ASCII is no character by itself: it counts as one that is nowhere else.
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
        # In doubt, with a byte of some character, the word goes on.
        continues = [text[:1] == "\ufffd" or (text != "" and joins(text[0])) for text in texts]
        self.continues: Tensor = torch.tensor(continues)
        """(V,) bool: the pieces that continue the word before them."""

    def automaton(self, phrases: Sequence[str]) -> Automaton:
        """Forbids the pieces behind which any of the `phrases` would stand in the translation.

        A word that goes on is another word, but only inside one piece: behind "Mann" a search that
        is not allowed to end the word would have to invent one.
        """
        characters = sorted(set("".join(phrases)))
        steps, ends = _explore(phrases, characters)
        count = len(steps)  # which is also the number of the state for "found"
        # A column for each class: the characters, others that join, others that do not, nothing.
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
    """The text of a piece with its spaces; none for a control piece."""
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
        The next state for each class of characters, as many as there are states for "found"; and
        for each state whether a phrase has just been read.
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
    """The state after a character; None if it completes a phrase. "" is one of no phrase."""
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
