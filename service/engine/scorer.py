"""Scorer: computes the probabilities of given translations, in small batches between engine steps.

It uses teacher forcing, in fp32 whatever the precision of the engine. Pairs of different requests
are never batched together, so a score does not depend on other requests.
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
from service.engine.reply import PendingReply
from service.engine.scheduler import Scheduler
from service.errors import EngineFailed

BATCH_PIECES = 256
"""Padded pieces in one batch."""
MAX_SIDE_PIECES = 1000
"""The most pieces on each side of a pair: more would delay all other requests."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """The probability of a target, given its source."""

    log_prob: float
    """Natural logarithm of the probability of the pieces and EOS."""
    token_log_probs: tuple[float, ...]
    """The same for each piece, given those before it; EOS is left out."""
    pieces: tuple[str, ...]
    """Pieces of the target, without EOS."""
    score: float
    """`log_prob` divided by the length penalty of the options."""


EncodedPair = tuple[list[int], list[int]]
"""Source and target, as piece ids."""


def encode_pairs(
    encode_source: Callable[[str], list[int]],
    tokenizer: Tokenizer,
    sources: Sequence[str],
    targets: Sequence[str],
) -> list[EncodedPair]:
    """Tokenize the pairs. Slow: not to be called on the event loop or in the engine thread.

    Args:
        encode_source: tokenizes a source, in the form that the model reads.

    Raises:
        RequestError: a side is too long.
    """

    def checked(name: str, pieces: list[int]) -> list[int]:
        if len(pieces) > MAX_SIDE_PIECES:
            raise RequestError(
                f"{len(pieces)} pieces, but a pair that is scored may have {MAX_SIDE_PIECES} on "
                f"each side. Split it.",
                field=name,
            )
        return pieces

    return [
        # Strip surrounding white space, as translation does.
        (
            checked("source", encode_source(source.strip())),
            checked("target", tokenizer.encode(target.strip())),
        )
        for source, target in zip(sources, targets, strict=True)
    ]


class ScoreJob:
    """Pairs to score. Once created, it is used only by the engine thread."""

    def __init__(
        self,
        reply: PendingReply[list[Scored]],
        texts: Sequence[str],
        pairs: list[EncodedPair],
        tokenizer: Tokenizer,
    ) -> None:
        """`texts` are all sources and targets, in any order."""
        self.reply, self.tokenizer = reply, tokenizer
        self.size = sum(len(text.encode()) for text in texts)
        self.pairs = pairs
        self.batches: list[list[int]] = []
        self.scored: dict[int, Scored] = {}

    @property
    def pieces(self) -> int:
        """Number of pieces on both sides of all pairs."""
        return sum(len(source) + len(target) for source, target in self.pairs)


class Scorer:
    """Scores queued pairs. Used only by the engine thread."""

    def __init__(self, network: Seq2Seq, device: torch.device) -> None:
        self._given, self._device = network, device
        self._network: Seq2Seq | None = None  # on the device; made when first needed
        self.queue: Scheduler[ScoreJob] = Scheduler()

    def enqueue(self, pairs: ScoreJob, now: float) -> None:
        """Queue `pairs`."""
        pairs.reply.count_pieces(pairs.size, pairs.pieces)
        longer = [max(map(len, pair)) for pair in pairs.pairs]
        pairs.batches = list(batches(longer, BATCH_PIECES))
        costs = [sum(longer[i] + 1 for i in batch) for batch in pairs.batches]
        self.queue.push(pairs, costs, pairs.reply.params, now)
        self._answer_if_done(pairs)

    def cancel(self, pairs: ScoreJob) -> None:
        """Remove `pairs` from the queue."""
        self.queue.drop(pairs)

    def step(self) -> ScoreJob:
        """Score one batch of a request and return that request; if this raises, it is failed."""
        pairs, number = self.queue.pop()
        try:
            self._score(pairs, pairs.batches[number])
        except Exception:
            self.queue.drop(pairs)
            pairs.reply.fail(EngineFailed())
            raise
        self._answer_if_done(pairs)
        return pairs

    def _score(self, pairs: ScoreJob, batch: list[int]) -> None:
        if self._network is None:
            self._network = cast(self._given, torch.float32, self._device)
        sources, targets = ([pairs.pairs[i][side] for i in batch] for side in (0, 1))
        found = score_batch(self._network, sources, targets).tolist()
        options = pairs.reply.params.options
        for i, row, target in zip(batch, found, targets, strict=True):
            log_probs = row[: len(target) + 1]
            total = sum(log_probs, start=0.0)
            penalty = length_penalty(options, torch.tensor(len(log_probs))).item()
            pairs.scored[i] = Scored(
                log_prob=total,
                token_log_probs=tuple(log_probs[:-1]),
                pieces=tuple(map(pairs.tokenizer.piece, target)),
                score=total / penalty,
            )

    def _answer_if_done(self, pairs: ScoreJob) -> None:
        if len(pairs.scored) == len(pairs.pairs):
            pairs.reply.finish([pairs.scored[i] for i in range(len(pairs.pairs))])
