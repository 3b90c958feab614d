"""Extraction: every word of a hypothesis is one of the source's, copied as a whole.

Compression by deletion (Filippova et al. 2015), as a constraint on the search and not on what the
network has learned. A word is a run of pieces: one that begins a word and those behind it. With
`in_order`, a hypothesis is a subsequence of the source's words: each is matched with the earliest
word that it can be, because whatever may follow a later match may follow the earliest one, too.

The words that begin with the same pieces share the nodes of a trie. A hypothesis has one node, that
of the pieces of its last word, and the number of the source's words that it has passed. What may
follow is found by asking every piece of the source, which is all tensor arithmetic: a piece goes on
with the word if it stands behind the node in a word that has not been passed; it begins a word if
the node is the end of one. Only what can be completed within the length limit is begun, so that no
limit cuts a word.

Signs at the end of a word may be left out, as a comma is where what follows it is. With `in_order`,
the sign that ends the source may end a hypothesis behind any word: a sentence that stops earlier
still ends in its full stop.
"""

# Shapes: M sentences, K hypotheses, S rows of all words of a sentence, V vocabulary, Q states.

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from model.decoding.automaton import Automaton
from model.text.tokenizer import EOS_ID

ROOT = 0
PADDING = -1
ENDING = -2
"""In place of the node before a piece: it is the sign that ends the source."""
NEVER = 2**31
"""Greater than the number of any word."""


def rows_of(pieces: int) -> int:
    """The most rows that the words of a source of so many pieces have."""
    return pieces + 1


class SourceWords(NamedTuple):
    """The words of M sources, piece by piece, with padding at the end of rows."""

    piece: Tensor  # (M, S) long; padding 0
    parent: Tensor  # (M, S) long: the node before the piece, `ROOT` if it begins its word; `ENDING`
    node: Tensor  # (M, S) long: the node that it leads to
    word: Tensor  # (M, S) long: the number of its word, from 0
    rest: Tensor  # (M, S) long: how many pieces of its word must follow: not the signs at its end

    @classmethod
    def of(
        cls, words: Sequence[Sequence[int]], width: int, signs: Sequence[int] = ()
    ) -> "SourceWords":
        """The words of one source, without dimension M, with S = `width`, on the CPU.

        Args:
            signs: for each word how many pieces at its end are signs; none are if it is left out.
        """
        nodes: dict[tuple[int, ...], int] = {(): ROOT}
        rows = []
        for number, word in enumerate(words):
            for at, piece in enumerate(word):
                parent = nodes[tuple(word[:at])]
                node = nodes.setdefault(tuple(word[: at + 1]), len(nodes))
                left = len(word) - at - 1 - (signs[number] if signs else 0)
                rows.append((piece, parent, node, number, max(left, 0)))
        if signs and signs[-1]:
            rows.append((words[-1][-1], ENDING, len(nodes), len(words) - 1, 0))
        padding = [(0, *(PADDING,) * 4)] * (width - len(rows))
        return cls(*torch.tensor(rows + padding, dtype=torch.long).view(width, 5).unbind(1))

    @property
    def begins(self) -> Tensor:
        """(M, S) bool: whether the piece begins its word, or is the sign that ends the source."""
        return (self.parent == ROOT) | (self.parent == ENDING)


class WordsTaken(NamedTuple):
    """How far hypotheses (M, K) are in the words of their source."""

    passed: Tensor  # long: the number of the first word that the last one may be
    node: Tensor  # long: the node of the last word's pieces

    def completed(self, words: SourceWords, in_order: Tensor) -> tuple[Tensor, Tensor]:
        """Whether each hypothesis (M, K) ends in a whole word; and the first word that may follow.

        `in_order` (M,) bool tells which sentences have to keep the order of the source.
        """
        last = (words.rest == 0).unsqueeze(1) & (words.node.unsqueeze(1) == self.node.unsqueeze(2))
        last &= words.word.unsqueeze(1) >= self.passed.unsqueeze(2)
        earliest = words.word.unsqueeze(1).masked_fill(~last, NEVER).amin(dim=2)
        at_root = self.node == ROOT
        following = torch.where(at_root, self.passed, earliest + 1) * in_order.unsqueeze(1)
        return at_root | (earliest < NEVER), following

    def possible(
        self,
        words: SourceWords,
        in_order: Tensor,
        room: Tensor,
        missing: Tensor,
        long_enough: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Which pieces of the source (M, K, S) may come next; and who ends in a whole word (M, K).

        No word is taken behind which there is too little room for those that are missing or, in
        order, too few words.

        Args:
            room: (M,) pieces that may follow the next one.
            missing: (M, K) words that have yet to be begun.
            long_enough: (M,) bool, whether the end may follow the next piece.
        """
        complete, following = self.completed(words, in_order)
        number, behind = words.word.unsqueeze(1), words.parent.unsqueeze(1)
        begun = complete.unsqueeze(2) & (number >= following.unsqueeze(2))
        continued = (behind == self.node.unsqueeze(2)) & (number >= self.passed.unsqueeze(2))
        found = torch.where(words.begins.unsqueeze(1), begun, continued)
        ending = self._may_end(words, in_order & long_enough)
        found &= (behind != ENDING) | ending.unsqueeze(2)
        needed = missing.unsqueeze(2) + (behind != ROOT)  # the word that begins is one of these
        count = words.word.amax(dim=1).view(-1, 1, 1) + 1
        found &= (number + needed <= count) | ~in_order.view(-1, 1, 1)
        pieces = words.rest.unsqueeze(1) + (needed - 1).clamp(min=0)  # one or more for each word
        found &= (pieces <= room.view(-1, 1, 1)) & (behind != PADDING)
        return found, complete

    def _may_end(self, words: SourceWords, wanted: Tensor) -> Tensor:
        """Whether the sign that ends the source may stand behind each hypothesis (M, K).

        Not where it goes on with a word, as the stop of an abbreviation does, or is not `wanted`
        (M,).
        """
        sign = words.piece.masked_fill(words.parent != ENDING, PADDING).amax(dim=1)
        same = (words.piece == sign.unsqueeze(1)).unsqueeze(1)
        goes_on = (same & (words.parent.unsqueeze(1) == self.node.unsqueeze(2))).any(dim=2)
        return wanted.unsqueeze(1) & (self.node != ROOT) & ~goes_on

    def after(self, words: SourceWords, in_order: Tensor, piece: Tensor) -> "WordsTaken":
        """The progress after each hypothesis is extended by `piece` (M, K)."""
        same = words.piece.unsqueeze(1) == piece.unsqueeze(2)
        begins = (same & (words.parent == ROOT).unsqueeze(1)).any(dim=2)
        _, following = self.completed(words, in_order)
        parent = self.node.masked_fill(begins, ROOT)
        here = same & (words.parent.unsqueeze(1) == parent.unsqueeze(2))
        ends = ~here.any(dim=2)
        here |= same & (words.parent == ENDING).unsqueeze(1) & ends.unsqueeze(2)
        node = words.node.unsqueeze(1).masked_fill(~here, -1).amax(dim=2)
        return WordsTaken(torch.where(begins | ends, following, self.passed), node)


def keep_extracts(
    log_probs: Tensor, unruled: Tensor, words: SourceWords, possible: Tensor, complete: Tensor
) -> None:
    """Forbid, in `log_probs` (M, K, V), all that makes no word of the source.

    Within a word only this rule counts: the others decide where it begins, see `writable`.

    Args:
        log_probs: of the next piece, with the pieces that other rules forbid.
        unruled: (M, K, S) those of the source's pieces before other rules forbade any.
        possible, complete: see `WordsTaken.possible`.
    """
    index = words.piece.unsqueeze(1).expand_as(possible)
    value = torch.where(words.begins.unsqueeze(1), log_probs.gather(2, index), unruled)
    end = log_probs[:, :, EOS_ID].masked_fill(~complete, -torch.inf)
    log_probs.fill_(-torch.inf)
    log_probs.scatter_reduce_(2, index, value.masked_fill(~possible, -torch.inf), "amax")
    log_probs[:, :, EOS_ID] = end


def writable(words: SourceWords, automaton: Automaton, state: Tensor) -> Tensor:
    """Whether each piece (M, K, S) and the rest of its word can be written in `state` (M, K).

    A word that an avoided phrase would break off is not begun: there would be no way out of it.
    """
    found = torch.ones_like(words.piece, dtype=torch.bool).unsqueeze(1)
    at = torch.arange(words.piece.shape[1], device=state.device)
    reached = state.unsqueeze(2)
    for step in range(int(words.rest.amax()) + 1):
        inside = (words.rest >= step).unsqueeze(1)
        piece = words.piece[:, (at + step).clamp(max=len(at) - 1)].unsqueeze(1)
        after = automaton.following[reached, piece].long()
        found = found & ~((after < 0) & inside)
        reached = after.clamp(min=0)
    return found
