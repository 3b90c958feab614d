"""Scorer: how probable given translations are, a few at a time between the steps of the engine.

By teacher forcing, in fp32 whatever the engine computes in. The pairs of different requests are
never computed together, so that no figure depends on company.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from model.decoding.beam_search import length_penalty
from model.decoding.precision.precision import cast
from model.errors import RequestError
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import Tokenizer
from model.translation.forced_decoding import batches, score_batch
from service.engine.reply import Ticket
from service.engine.scheduler import Scheduler
from service.errors import EngineFailed

AT_ONCE = 256
"""Padded pieces that are scored between two steps."""
LONGEST = 1000
"""Pieces of a side: more would hold up everything else."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """How probable a target is, given its source."""

    log_prob: float
    """Natural logarithm of the probability of the pieces and EOS."""
    token_log_probs: tuple[float, ...]
    """The same of each piece, given those before it; that of EOS is left out."""
    pieces: tuple[str, ...]
    """Of the target, without EOS."""
    score: float
    """`log_prob` divided by the length penalty of the options."""


EncodedPair = tuple[list[int], list[int]]
"""Source and target, as pieces."""


def encode_pairs(
    encode_source: Callable[[str], list[int]],
    tokenizer: Tokenizer,
    sources: Sequence[str],
    targets: Sequence[str],
) -> list[EncodedPair]:
    """The pairs as pieces: not for the event loop, nor for the thread of the engine.

    Args:
        encode_source: gives the pieces of a source, in the form that the model reads.

    Raises:
        RequestError: a side is too long.
    """

    def checked(name: str, pieces: list[int]) -> list[int]:
        if len(pieces) > LONGEST:
            raise RequestError(
                f"{len(pieces)} pieces, but a pair that is scored may have {LONGEST} on each side. "
                f"Split it.",
                field=name,
            )
        return pieces

    return [
        # Without the white space at the ends, as texts are searched.
        (
            checked("source", encode_source(source.strip())),
            checked("target", tokenizer.encode(target.strip())),
        )
        for source, target in zip(sources, targets, strict=True)
    ]


class ScoreJob:
    """Pairs to score. But for its making, of the thread of the engine."""

    def __init__(
        self, ticket: Ticket[list[Scored]], texts: Sequence[str], pairs: list[EncodedPair]
    ) -> None:
        """`texts` are all of them, sources and targets, in any order."""
        self.ticket = ticket
        self.texts, self.pairs = texts, pairs
        self.batches: list[list[int]] = []
        self.scored: dict[int, Scored] = {}

    @property
    def pieces(self) -> int:
        """Of both sides of all pairs."""
        return sum(len(source) + len(target) for source, target in self.pairs)


class Scorer:
    """The pairs that wait to be scored. Of the thread of the engine alone."""

    def __init__(self, network: Seq2Seq, device: torch.device, tokenizer: Tokenizer) -> None:
        self._given, self._device = network, device
        self._network: Seq2Seq | None = None  # on the device; made when first needed
        self._tokenizer = tokenizer
        self.waiting: Scheduler[ScoreJob] = Scheduler()

    def join(self, pairs: ScoreJob, now: float) -> None:
        """Let `pairs` wait."""
        pairs.ticket.correct(pairs.texts, pairs.pieces)
        longer = [max(map(len, pair)) for pair in pairs.pairs]
        pairs.batches = list(batches(longer, AT_ONCE))
        costs = [sum(longer[i] + 1 for i in batch) for batch in pairs.batches]
        self.waiting.push(pairs, costs, pairs.ticket.params, now)
        self._answer_if_over(pairs)

    def leave(self, pairs: ScoreJob) -> None:
        """Nobody wants the answer any more."""
        self.waiting.drop(pairs)

    def step(self) -> ScoreJob:
        """Score some pairs of one request; of which. One that raises fails."""
        pairs, number = self.waiting.pop()
        try:
            self._score(pairs, pairs.batches[number])
        except Exception:
            self.waiting.drop(pairs)
            pairs.ticket.fail(EngineFailed())
            raise
        self._answer_if_over(pairs)
        return pairs

    def _score(self, pairs: ScoreJob, batch: list[int]) -> None:
        if self._network is None:
            self._network = cast(self._given, torch.float32, self._device)
        sources, targets = ([pairs.pairs[i][side] for i in batch] for side in (0, 1))
        found = score_batch(self._network, sources, targets).tolist()
        options = pairs.ticket.params.options
        for i, row, target in zip(batch, found, targets, strict=True):
            log_probs = row[: len(target) + 1]
            total = sum(log_probs, start=0.0)
            penalty = length_penalty(options, torch.tensor(len(log_probs))).item()
            pairs.scored[i] = Scored(
                log_prob=total,
                token_log_probs=tuple(log_probs[:-1]),
                pieces=tuple(map(self._tokenizer.piece, target)),
                score=total / penalty,
            )

    def _answer_if_over(self, pairs: ScoreJob) -> None:
        if len(pairs.scored) == len(pairs.pairs):
            pairs.ticket.give([pairs.scored[i] for i in range(len(pairs.pairs))])
