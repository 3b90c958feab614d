"""Beam search as functions on tensors: candidates, length penalties, stop rule.

With them the engine runs this search, for each sentence by itself:

1. Each step extends the alive hypotheses, all of the same length, by one piece. The
   probability of a piece is normalised over the whole vocabulary; only then are PAD, UNK and BOS
   forbidden. So forced decoding of a hypothesis gives the log-probability that the search gave it.
2. Of all candidates (hypothesis, piece) the best `beam_size - finished` by log-probability are
   kept, equal ones in the order of (hypothesis, piece). They become the next hypotheses in order.
3. A candidate that ends in EOS is finished and keeps its place in the beam: the alive beam
   shrinks. Its score is log_prob / length_penalty(|Y|), where |Y| counts EOS.
4. EOS is forbidden below `min_length` pieces. A hypothesis of `length_limit` pieces can only be
   followed by EOS, at its true log-probability.
5. The sentence is over when nothing is alive, or when `n_best` are finished and no alive
   hypothesis can still reach the score of the n_best-th.

Finished hypotheses rank by score, equal ones by their pieces. Greedy search is `beam_size` 1.
"""

# Shapes: N sentences, K hypotheses (the beam), V vocabulary, T target length, S source length.

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from model.decoding.options import SearchOptions

BLOCK = 128  # candidates whose maximum is taken first; about sqrt(V): two stages then cost least
LAST = 2**31 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypothesis:
    """One finished output of the search."""

    pieces: tuple[int, ...]
    """Without EOS."""
    log_prob: float
    """Natural logarithm of the probability of the pieces and EOS."""
    token_log_probs: tuple[float, ...]
    """The same for each piece and EOS, given the pieces before it."""
    score: float
    """`log_prob` divided by the length penalty; hypotheses are ranked by it."""
    truncated: bool
    """Whether the length limit ended it where the network would have preferred to go on."""
    weights: Tensor = field(compare=False, repr=False)
    """(T, S) fp32 on the CPU: attention of each piece and EOS over the source pieces and EOS. For a
    source from `LongEngine`, (T, 0)."""
    most_attended: tuple[tuple[int, float], ...] | None = field(
        default=None, compare=False, repr=False
    )
    """Of such a source, in place of the weights: for each piece and EOS the source piece with most
    weight, and that weight. EOS of the source, and a length piece, are left aside."""
    vectors: Tensor | None = field(default=None, compare=False, repr=False)
    """(T, W) fp32 on the CPU: the outputs of a network that gives vectors, normalised; it has no
    pieces and no probability, so the other fields say nothing."""


class Candidates(NamedTuple):
    """The best extensions of the hypotheses of each sentence, best first."""

    log_prob: Tensor  # (N, K)
    parent: Tensor  # (N, K) the hypothesis that is extended
    piece: Tensor  # (N, K) the piece that is appended


def length_penalty(options: SearchOptions, length: Tensor) -> Tensor:
    """The divisor of the log-probability, fp32, for hypotheses of |Y| = `length`, EOS counted.

    `gnmt`: ((5 + |Y|) / 6) ** alpha (Wu et al. 2016, eq. 14); `power`: |Y| ** alpha; `none`: 1.
    All are positive and never decrease with the length, on which the stop rule relies.
    """
    base = torch.ones_like(length, dtype=torch.float64)
    if options.length_penalty == "gnmt":
        base = (5 + length.double()) / 6
    elif options.length_penalty == "power":
        base = length.double()
    return (base**options.alpha).float()


def best_candidates(totals: Tensor) -> Candidates:
    """The K best of the K * V candidates of each sentence, by (log-probability, parent, piece).

    `totals` (N, K, V) fp32 holds the log-probability of each candidate, -inf for impossible ones.
    """
    count, beam, vocab = totals.shape
    return Extensions(beam, vocab, totals.device).best(totals, totals.new_zeros(count, beam))


class Extensions:
    """`best_candidates` for pieces after hypotheses, without writing out the sums.

    Only the K best blocks are searched, ranked by (maximum, position): an element outside them has
    at least K elements before it, the maxima of those blocks. Adding a number to all elements of a
    block does not change their order, so the maximum of a block gives its best sum, exactly. The
    remainder that fills no block is always searched. `torch.topk` promises no order among equal
    values, so it ranks keys that are all different. The tables of indices are made once, because
    with few rows the number of operations determines the time.
    """

    def __init__(self, beam: int, vocab: int, device: torch.device) -> None:
        """For `beam` hypotheses per sentence and `vocab` pieces, or pieces of a shortlist."""
        self.vocab = vocab
        # A single block would have to be searched anyway.
        self._blocks = vocab // BLOCK if vocab >= 2 * BLOCK else 0
        self._full = self._blocks * BLOCK
        self._block_low = LAST - torch.arange(beam * self._blocks, device=device)
        block = torch.arange(beam * self._blocks, device=device)
        self._parent = block // max(self._blocks, 1)
        self._start = self._parent * vocab + block % max(self._blocks, 1) * BLOCK
        self._within = torch.arange(BLOCK, device=device)
        # The remainder that fills no block, of every hypothesis.
        hypothesis = torch.arange(beam, device=device)
        self._hypothesis_low = LAST - hypothesis
        first = hypothesis.unsqueeze(1) * vocab
        self._rest = (first + torch.arange(self._full, vocab, device=device)).flatten()

    def best(self, log_probs: Tensor, alive: Tensor) -> Candidates:
        """The best candidates of `log_probs` (N, K, V) + `alive` (N, K)."""
        return self.best_with_largest(log_probs, alive)[0]

    def best_with_largest(self, log_probs: Tensor, alive: Tensor) -> tuple[Candidates, Tensor]:
        """The same, and the largest of the log-probabilities of each hypothesis (N, K)."""
        count, beam, vocab = log_probs.shape
        index = self._rest.expand(count, -1)
        added = alive.unsqueeze(2).expand(-1, -1, vocab - self._full).flatten(1)
        looked = log_probs[:, :, self._full :]
        if self._blocks:
            maxima = log_probs[:, :, : self._full].view(count, beam, self._blocks, BLOCK).amax(3)
            keys = _key((maxima + alive.unsqueeze(2)).flatten(1), self._block_low)
            block = keys.topk(beam, sorted=False).indices
            inside = (self._start[block].unsqueeze(2) + self._within).flatten(1)
            own = alive.gather(1, self._parent[block]).unsqueeze(2)
            own = own.expand(-1, -1, BLOCK).flatten(1)
            index, added = torch.cat([inside, index], dim=1), torch.cat([own, added], dim=1)
            looked = torch.cat([maxima, looked], dim=2)
        values = log_probs.flatten(1).gather(1, index) + added
        place = _key(values, LAST - index).topk(beam).indices
        chosen = index.gather(1, place)
        parent = chosen.div(vocab, rounding_mode="floor")
        found = Candidates(values.gather(1, place), parent, chosen - parent * vocab)
        return found, looked.amax(dim=2)

    def best_of_one(self, log_probs: Tensor, alive: Tensor, piece: int) -> Candidates:
        """The same where every hypothesis can only append `piece`, with `log_probs` (N, K)."""
        values = log_probs + alive
        parent = _key(values, self._hypothesis_low).topk(alive.shape[1]).indices
        return Candidates(values.gather(1, parent), parent, torch.full_like(parent, piece))


def _key(values: Tensor, low: Tensor) -> Tensor:
    """int64 keys of fp32 `values` above, `low` (31 bits) below.

    The bits of a float, read as an integer, rank as the float does; negative ones in reverse.
    """
    bits = (values + 0.0).view(torch.int32)  # + 0.0 makes -0.0 equal to 0.0
    # Where the sign bit is set, all other bits are flipped: bits >> 31 is then -1, else 0.
    ranked = bits ^ ((bits >> 31) & LAST)
    return ranked.long().bitwise_left_shift_(32).bitwise_or_(low)


def is_over(alive: Tensor, last_score: Tensor, longest_penalty: Tensor) -> Tensor:
    """Return which sentences can find nothing better, (N,) bool: exact, not a heuristic.

    A hypothesis only loses log-probability as it grows, and is divided by at most the penalty at
    the length limit, which bounds the score that it can reach. One that can equal the last score
    goes on, because its pieces may rank first.

    Args:
        alive: (N, K) log-probabilities of the alive hypotheses, -inf where there is none.
        last_score: (N,) score of the n_best-th finished hypothesis, -inf while there are fewer.
        longest_penalty: (N,) length penalty at the length limit, EOS counted.
    """
    best = alive.amax(1)
    return best.isneginf() | (best / longest_penalty < last_score)


def trace(
    pieces: list[list[int]], parents: list[list[int]], step: int, place: int
) -> tuple[tuple[int, ...], list[int]]:
    """Follow the back-pointers from hypothesis `place` of `step` to the start.

    `pieces` and `parents` are (T, K): what was appended at each step, and to which hypothesis.

    Returns:
        The pieces of steps 0 to `step`, and for each the hypothesis that it was appended to.
    """
    taken, path = [], []
    for t in range(step, -1, -1):
        taken.append(pieces[t][place])
        place = parents[t][place]
        path.append(place)
    return tuple(reversed(taken)), path[::-1]


def common_prefix(
    pieces: list[list[int]], parents: list[list[int]], ends: list[tuple[int, int]]
) -> tuple[int, ...]:
    """The pieces that all hypotheses in `ends`, each a (step, place), begin with.

    No two hypotheses of a beam are equal, so what they share is the path to their common ancestor.
    """
    step = max(end[0] for end in ends)
    places: set[int] = set()
    while step >= 0:
        places |= {place for end, place in ends if end == step}
        if len(places) == 1 and all(end >= step for end, _ in ends):
            return trace(pieces, parents, step, places.pop())[0]
        places = {parents[step][place] for place in places}
        step -= 1
    return ()
