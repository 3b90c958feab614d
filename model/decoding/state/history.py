"""History: back-pointers of all sentences in flight, resolved once when a sentence is finished.

Hypotheses are never copied while they grow. Each step records which piece extended which
hypothesis; following these records backwards gives the pieces and the attention of any of them. Of
the attention to a source of any length, only the place with most of it is recorded.
"""

# Shapes: N active sentences, K hypotheses (the beam), S source length and T target length, both
# with EOS.

import math
from itertools import pairwise

import torch
from torch import Tensor

from model.decoding.beam_search import Candidates, Hypothesis, common_prefix, trace
from model.decoding.options import length_limit
from model.decoding.request import Request


class History:
    """Preallocated buffers, with a row for each slot. Only what was written is read."""

    def __init__(
        self,
        *,
        slots: int,
        steps: int,
        beam_size: int,
        source: int,
        device: torch.device,
        places: slice | None = None,
    ) -> None:
        """`places`: of the attention to these source pieces only the place with most is kept, from
        their first, and its weight; all of the attention if None.
        """
        shape = (slots, steps, beam_size)
        # Empty, not zeros: memory that no sentence is long enough to use is then never touched.
        self.piece = torch.empty(shape, dtype=torch.long, device=device)
        self.parent = torch.empty(shape, dtype=torch.long, device=device)
        self.log_prob = torch.empty(shape, device=device)
        self.score = torch.empty(shape, device=device)  # -inf where nothing finished
        # Both before the step's selection.
        self.weights = torch.empty((*shape, 0 if places else source), device=device)
        kept = shape if places else (0, 0, 0)
        self.place = torch.empty(kept, dtype=torch.long, device=device)
        self.place_weight = torch.empty(kept, device=device)
        self._places = places
        self._slot = torch.arange(slots, device=device)

    def record(self, step: Tensor, chosen: Candidates, score: Tensor, weights: Tensor) -> None:
        """Write step number `step` (N,) of the first N slots.

        Args:
            chosen: the hypotheses after the step.
            score: (N, K) of the hypotheses that finish in it, else -inf.
            weights: (N, K, S) attention of the hypotheses before the step.
        """
        slot = self._slot[: len(step)]
        self.piece[slot, step] = chosen.piece
        self.parent[slot, step] = chosen.parent
        self.log_prob[slot, step] = chosen.log_prob
        self.score[slot, step] = score
        if self._places is None:
            self.weights[slot, step, :, : weights.shape[2]] = weights.float()
        else:
            most = weights[:, :, self._places].max(dim=2)
            self.place[slot, step] = most.indices
            self.place_weight[slot, step] = most.values.float()

    def move(self, source: int, target: int, steps: int, length: int) -> None:
        """Copy `steps` steps of slot `source`, of source length `length`, to slot `target`."""
        assert self._places is None, "one source of any length at a time"
        for held in (self.piece, self.parent, self.log_prob, self.score):
            held[target, :steps] = held[source, :steps]
        self.weights[target, :steps, :, :length] = self.weights[source, :steps, :, :length]

    def resolve(
        self, slot: int, steps: int, request: Request, forced: list[bool]
    ) -> tuple[Hypothesis, ...]:
        """Return the best hypotheses of a sentence that finished after `steps` steps.

        `forced` says for each hypothesis alive at the length limit whether EOS was forced on it.
        """
        options, length = request.options, len(request.src) + 1
        limit = length_limit(options, len(request.src))
        pieces, parents = self.piece[slot, :steps].tolist(), self.parent[slot, :steps].tolist()
        log_probs, scores = self.log_prob[slot, :steps].tolist(), self.score[slot, :steps].tolist()
        ends = [
            (score, step, place)
            for step, row in enumerate(scores)
            for place, score in enumerate(row)
            if score > -math.inf
        ]
        # Only those that can be among the best are traced; equal scores are ranked by pieces.
        least = sorted((score for score, _, _ in ends), reverse=True)[: options.n_best][-1:]
        finished = []
        for score, step, place in ends:
            if score >= least[0]:
                taken, path = trace(pieces, parents, step, place)
                sums = [log_probs[t][k] for t, k in enumerate([*path[1:], place])]
                finished.append((-score, taken[:-1], sums, path))
        finished.sort(key=lambda entry: entry[:2])
        weights = self.weights[slot, :steps, :, :length].cpu()
        return tuple(
            Hypothesis(
                pieces=taken,
                log_prob=sums[-1],
                token_log_probs=tuple(now - past for past, now in pairwise([0.0, *sums])),
                score=-negative,
                truncated=len(taken) == limit and forced[path[-1]],
                weights=weights[list(range(len(path))), path],
                most_attended=self._most_attended(slot, path),
            )
            for negative, taken, sums, path in finished[: options.n_best]
        )

    def _most_attended(self, slot: int, path: list[int]) -> tuple[tuple[int, float], ...] | None:
        """The places that the hypotheses along `path` attended to, and their weights, if kept."""
        if self._places is None:
            return None
        at = list(range(len(path))), path
        places, weights = self.place[slot][at], self.place_weight[slot][at]
        return tuple(zip(places.tolist(), weights.tolist(), strict=True))

    def stable_prefixes(
        self, slots: list[int], steps: list[int], contenders: Tensor, best_score: Tensor
    ) -> list[tuple[int, ...]]:
        """The pieces with which all hypotheses that can still win begin, for each of the M `slots`.

        Args:
            steps: steps taken in each slot.
            contenders: (M, K) which hypotheses are alive and can reach the best score.
            best_score: (M,) the best of the finished hypotheses, -inf where there is none.
        """
        last = max(steps)
        score = self.score[slots, :last]
        leads = (score == best_score[:, None, None]) & (score > -torch.inf)
        packed = torch.cat(  # one transfer for all: (M, 3 * last + 1, K)
            [
                self.piece[slots, :last],
                self.parent[slots, :last],
                leads.long(),
                contenders.long().unsqueeze(1),
            ],
            dim=1,
        ).tolist()
        prefixes = []
        for rows, count in zip(packed, steps, strict=True):
            pieces, parents, leaders = rows[:last], rows[last : 2 * last], rows[2 * last : -1]
            ends = [(count - 1, place) for place, yes in enumerate(rows[-1]) if yes]
            for step in range(count):  # without EOS, a finished hypothesis ends in its parent
                ends += [(step - 1, parents[step][k]) for k, yes in enumerate(leaders[step]) if yes]
            prefixes.append(common_prefix(pieces, parents, ends))
        return prefixes
