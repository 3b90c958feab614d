"""Word limits: a hypothesis has at least and at most so many words, to the letter.

Words are what white space separates. Whether a piece begins one depends on where the hypothesis
stands: "er" behind "Lehr" goes on with a word, behind a space it begins one.
"""

# Shapes: M sentences, K hypotheses, V vocabulary.

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from model.text.tokenizer import EOS_ID


class PieceWords(NamedTuple):
    """What each piece does to the words of a hypothesis: outside a word (0), and in one (1)."""

    begun: Tensor  # (2, V) int16, the words that the piece begins
    inside: Tensor  # (2, V) bool, whether the hypothesis is in a word after it

    @classmethod
    def of(cls, texts: Sequence[str]) -> "PieceWords":
        """For pieces with these texts; "" has no effect."""
        begun = [[len(text.split()) for text in texts]]
        begun.append(
            [
                words - (words > 0 and not text[0].isspace())
                for words, text in zip(begun[0], texts, strict=True)
            ]
        )
        inside = [
            [not text[-1].isspace() if text else before for text in texts]
            for before in (False, True)
        ]
        return cls(torch.tensor(begun, dtype=torch.int16), torch.tensor(inside))

    @classmethod
    def one_each(cls, vocab_size: int) -> "PieceWords":
        """For pieces each of which is a word, but for the control pieces."""
        return cls.of([""] * (EOS_ID + 1) + [" a"] * (vocab_size - EOS_ID - 1))

    def to(self, device: torch.device | str) -> "PieceWords":
        """The same on `device`."""
        return PieceWords(self.begun.to(device), self.inside.to(device))


class WordProgress(NamedTuple):
    """The words of hypotheses (M, K) so far."""

    begun: Tensor  # (M, K) long
    inside: Tensor  # (M, K) long, 1 in a word and 0 outside one

    def after(self, piece: Tensor, words: PieceWords) -> "WordProgress":
        """The progress after each hypothesis is extended by `piece` (M, K)."""
        begun = self.begun + words.begun[self.inside, piece]
        return WordProgress(begun, words.inside[self.inside, piece].long())


def limit_words(
    log_probs: Tensor,
    end: Tensor,
    words: PieceWords,
    progress: WordProgress,
    limits: tuple[Tensor, Tensor],
    room: Tensor,
) -> None:
    """Forbid, in `log_probs`, what would lead to too many or too few words.

    Once there are as many as may be, the last one may only be continued (see `end_last_word`) or be
    the end, even below `min_length`. Below the least number EOS is forbidden, and so is a piece
    after which there would be fewer pieces left than words are missing; a piece is taken to be
    enough for a word.

    Args:
        log_probs: (M, K, V) of the next piece.
        end: (M, K) those of EOS, even where it is forbidden.
        limits: the fewest and the most words, both (M,).
        room: (M,) pieces that may follow the next one.
    """
    least, most = (limit.unsqueeze(1) for limit in limits)
    begun, inside = words.begun[progress.inside], words.inside[progress.inside]  # (M, K, V)
    spare = most - progress.begun
    missing = least - progress.begun
    full = spare <= 0
    forbidden = begun > spare.unsqueeze(2)
    forbidden |= full.unsqueeze(2) & ~inside
    forbidden |= begun < (missing - room.unsqueeze(1)).unsqueeze(2)
    forbidden[:, :, EOS_ID] = missing > 0
    log_probs.masked_fill_(forbidden, -torch.inf)
    log_probs[:, :, EOS_ID] = torch.where(full & (missing <= 0), end, log_probs[:, :, EOS_ID])


def end_last_word(
    log_probs: Tensor,
    best: Tensor,
    words: PieceWords,
    progress: WordProgress,
    most: Tensor,
) -> None:
    """Forbid, in `log_probs` (M, K, V), to go on with the last word unless the model would.

    A model that does not know of the limit wants to begin another word. Left with nothing but the
    pieces that continue this one, it would glue them to it: "the", "on" and "ter" to "theonter".

    Args:
        best: (M, K) the most probable piece without the limits, EOS included.
        most: (M,) the most words.
    """
    begun = words.begun[progress.inside, best]
    goes_on = (begun == 0) & words.inside[progress.inside, best]
    ends = (progress.begun >= most.unsqueeze(1)) & ~goes_on
    kept = log_probs[:, :, EOS_ID].clone()
    log_probs.masked_fill_(ends.unsqueeze(2), -torch.inf)
    log_probs[:, :, EOS_ID] = kept
