"""Lane: the slots of one beam size, in which sentences are searched side by side.

A sentence joins as soon as a slot is free and leaves in the step it finishes. Everything lies in
buffers of fixed size, and the active slots are always the first ones, so a step works on views and
copies nothing but the state it selects.

What a sentence becomes does not depend on the others. Every tensor row belongs to one sentence, and
the shapes that could change the order of a sum are fixed: sources are padded to multiples of 16 and
encoded 16 at a time; the network itself keeps the bits of a row equal for any number of rows.
"""

# Shapes: N active sentences, K hypotheses (the beam), R = N*K rows, V vocabulary, S source length
# with EOS, T target length with EOS, L layers, D decoder size, H and A encoder and attention size.

from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from model.decoding.search import (
    Candidates,
    Hypothesis,
    SearchOptions,
    best_candidates,
    common_prefix,
    is_over,
    length_limit,
    length_penalty,
    trace,
)
from model.network.decoder import DecoderState
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import BOS_ID, EOS_ID, PAD_ID

SOURCE_MULTIPLE = 16
ENCODE_ROWS = 16
LOOKAHEAD = 64  # waiting sentences among which companions for one encoder batch are sought


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One sentence to search."""

    src: tuple[int, ...]
    """Source pieces without EOS."""
    options: SearchOptions
    stream: bool = False
    """Report the beginning of the translation as soon as it is certain."""


@dataclass(frozen=True, slots=True)
class Progress:
    """More of a streamed translation is certain: the best hypothesis will begin with these pieces."""

    id: int
    stable_prefix: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """A sentence is done: up to `n_best` hypotheses, the best first, at least one."""

    id: int
    hypotheses: tuple[Hypothesis, ...]


Event = Progress | Finished


class _Encoded(NamedTuple):
    """One sentence between encoder and decoder: both fields without their first dimension."""

    memory: Memory
    state: DecoderState


@dataclass(slots=True)
class _Sentence:
    """What the host knows of an active sentence."""

    id: int
    request: Request
    limit: int
    length: int = 0  # pieces so far, the same for all alive hypotheses
    reported: int = 0  # length of the stable prefix last reported


class _Beam(NamedTuple):
    """The search state; dimension 0 of every field is the slot."""

    token: Tensor  # (N, K) the last piece of each hypothesis
    log_prob: Tensor  # (N, K) fp32, -inf where no hypothesis is alive
    length: Tensor  # (N,) pieces so far
    finished: Tensor  # (N,) hypotheses finished so far
    best: Tensor  # (N, K) their scores, falling, -inf behind them
    forced: Tensor  # (N, K) at the length limit: the hypothesis would rather have gone on
    n_best: Tensor  # (N,)
    penalty: Tensor  # (N, T) length penalty of a hypothesis that ends in each step
    longest: Tensor  # (N,) the last of them that the sentence can reach


class _History(NamedTuple):
    """What each step did; resolved once, when the sentence is over. Dimension 0 is the slot."""

    piece: Tensor  # (N, T, K)
    parent: Tensor  # (N, T, K) the hypothesis it was appended to
    log_prob: Tensor  # (N, T, K)
    score: Tensor  # (N, T, K) of the hypotheses that finished in this step, else -inf
    weights: Tensor  # (N, T, K, S) attention of hypothesis K as it stood before this step


class Lane:
    """Slots for sentences of one beam size, and the queue of those that wait for one."""

    def __init__(
        self, network: Seq2Seq, *, beam_size: int, slots: int, max_source: int, max_length: int
    ) -> None:
        self.network = network
        self.beam_size = beam_size
        self.slots = slots
        self.max_source = bucket(max_source + 1)
        self.max_steps = max_length + 1
        self.device = network.output.weight.device
        self.waiting: dict[int, Request] = {}  # in order of arrival
        self._encoded: dict[int, _Encoded] = {}
        self._active: list[_Sentence | None] = []  # None: freed since the last step
        self._allocate()

    @property
    def busy(self) -> bool:
        return bool(self.waiting) or any(self._active)

    def cancel(self, id: int) -> bool:
        """Forget the sentence `id`; False if it is not here."""
        self._encoded.pop(id, None)
        if self.waiting.pop(id, None) is not None:
            return True
        for slot, sentence in enumerate(self._active):
            if sentence is not None and sentence.id == id:
                self._active[slot] = None
                return True
        return False

    def step(self) -> list[Event]:
        """Fill free slots, extend every active sentence by one piece, hand over what is finished."""
        active = self._fill()
        if not active:
            return []
        over = self._extend(active)
        events: list[Event] = []
        for slot, sentence in enumerate(active):
            if over[slot]:
                events.append(Finished(sentence.id, self._resolve(slot, sentence)))
                self._active[slot] = None
            sentence.length += 1
        streamed = [i for i, sentence in enumerate(active) if sentence.request.stream and not over[i]]
        return events + self._progress(active, streamed)

    def _allocate(self) -> None:
        """Buffers for all slots, in the shapes and types that a first encoded sentence shows."""
        shown = self._encode([(PAD_ID,)])[0]
        slots, beam, steps, source = self.slots, self.beam_size, self.max_steps, self.max_source

        def buffer(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=self.device)

        self._memory = Memory(
            *(buffer(slots, source, *x.shape[1:], dtype=x.dtype) for x in shown.memory)
        )
        self._state = DecoderState(
            *(buffer(slots * beam, *x.shape, dtype=x.dtype) for x in shown.state)
        )
        self._beam = _Beam(
            token=buffer(slots, beam, dtype=torch.long),
            log_prob=buffer(slots, beam),
            length=buffer(slots, dtype=torch.long),
            finished=buffer(slots, dtype=torch.long),
            best=buffer(slots, beam),
            forced=buffer(slots, beam, dtype=torch.bool),
            n_best=buffer(slots, dtype=torch.long),
            penalty=buffer(slots, steps),
            longest=buffer(slots),
        )
        # Empty, not zeros: pages that no sentence is long enough to reach are then never touched.
        self._history = _History(
            piece=torch.empty(slots, steps, beam, dtype=torch.long, device=self.device),
            parent=torch.empty(slots, steps, beam, dtype=torch.long, device=self.device),
            log_prob=torch.empty(slots, steps, beam, device=self.device),
            score=torch.empty(slots, steps, beam, device=self.device),
            weights=torch.empty(slots, steps, beam, source, device=self.device),
        )
        self._slot = torch.arange(slots, device=self.device)
        self._first_row = self._slot.unsqueeze(1) * beam  # (N, 1) row of each slot's hypothesis 0
        self._place = torch.arange(beam, device=self.device)

    # Joining and leaving

    def _fill(self) -> list[_Sentence]:
        """Waiting sentences take the free slots; the last active ones move into what remains free.

        Returns:
            The active sentences: slot i holds the i-th.
        """
        holes = [slot for slot, sentence in enumerate(self._active) if sentence is None]
        holes.reverse()
        while self.waiting and (holes or len(self._active) < self.slots):
            slot = holes.pop() if holes else len(self._active)
            self._active[slot : slot + 1] = [self._admit(slot)]
        for hole in holes:  # from the highest down, so that the last slot is never another hole
            last = self._active.pop()
            if hole < len(self._active):
                self._move(len(self._active), hole, last)
                self._active[hole] = last
        return [sentence for sentence in self._active if sentence is not None]

    def _admit(self, slot: int) -> _Sentence:
        """Put the first waiting sentence into `slot`."""
        id, request = next(iter(self.waiting.items()))
        if id not in self._encoded:
            self._encode_ahead(bucket(len(request.src) + 1))
        memory, state = self._encoded.pop(id)
        del self.waiting[id]
        options, beam = request.options, self._beam
        limit = length_limit(options, len(request.src))
        # Past the bucket old values stay: the mask gives them a weight of exactly 0.
        self._memory.mask[slot] = False
        for held, new in zip(self._memory, memory, strict=True):
            held[slot, : len(new)] = new
        for held, new in zip(self._state, state, strict=True):
            held[slot * self.beam_size : (slot + 1) * self.beam_size] = new
        beam.token[slot] = BOS_ID
        beam.log_prob[slot] = -torch.inf
        beam.log_prob[slot, 0] = 0
        beam.length[slot] = 0
        beam.finished[slot] = 0
        beam.best[slot] = -torch.inf
        beam.n_best[slot] = options.n_best
        penalty = length_penalty(options, torch.arange(1, limit + 2))
        beam.penalty[slot, : limit + 1] = penalty.to(self.device)
        beam.longest[slot] = beam.penalty[slot, limit]
        return _Sentence(id, request, limit)

    def _encode_ahead(self, size: int) -> None:
        """Encode the next waiting sentences of the source bucket `size`, the first of them included.

        The encoder runs 16 rows at a time in any case, so those that must still wait for a slot are
        encoded with the first instead of filling the rows with copies of it.
        """
        near = islice(self.waiting.items(), LOOKAHEAD)
        fitting = (
            (id, request.src)
            for id, request in near
            if id not in self._encoded and bucket(len(request.src) + 1) == size
        )
        group = dict(islice(fitting, ENCODE_ROWS))
        self._encoded.update(zip(group, self._encode(list(group.values())), strict=True))

    def _encode(self, sources: list[tuple[int, ...]]) -> list[_Encoded]:
        """Encode up to 16 sources of one bucket, in a batch that copies of the last one fill up."""
        rows = sources + sources[-1:] * (ENCODE_ROWS - len(sources))
        size = bucket(max(map(len, sources)) + 1)
        ids = [[*src, EOS_ID, *[PAD_ID] * (size - len(src) - 1)] for src in rows]
        lengths = [len(src) + 1 for src in rows]
        memory = self.network.encode(
            torch.tensor(ids, device=self.device), torch.tensor(lengths, device=self.device)
        )
        state = self.network.start(memory)
        return [
            _Encoded(Memory(*(x[i] for x in memory)), DecoderState(*(x[i] for x in state)))
            for i in range(len(sources))
        ]

    def _move(self, source: int, target: int, sentence: _Sentence | None) -> None:
        """Move the sentence of slot `source` into slot `target`."""
        assert sentence is not None
        size = bucket(len(sentence.request.src) + 1)
        states = (held.unflatten(0, (self.slots, self.beam_size)) for held in self._state)
        for held in (*self._memory, *self._beam, *states):
            held[target] = held[source]
        for held in self._history:
            held[target, : sentence.length] = held[source, : sentence.length]
        del size

    # One step

    def _extend(self, active: list[_Sentence]) -> list[bool]:
        """Extend the hypotheses of every active sentence by one piece; which sentences are over."""
        n, beam = len(active), _Beam(*(x[: len(active)] for x in self._beam))
        source = max(bucket(len(sentence.request.src) + 1) for sentence in active)
        memory = Memory(*(x[:n, :source] for x in self._memory))
        state = DecoderState(*(x[: n * self.beam_size] for x in self._state))
        next_state, features, weights = self.network.step(beam.token, state, memory)
        log_probs = self.network.log_scores(features, weights, memory).float().log_softmax(dim=2)
        self._forbid(log_probs, active)
        chosen = best_candidates(log_probs + beam.log_prob.unsqueeze(2))
        over = self._keep(beam, chosen, weights)
        rows = (self._first_row[:n] + chosen.parent).flatten()
        for held, new in zip(state, next_state, strict=True):
            torch.index_select(new, 0, rows, out=held)
        return [bool(x) for x in over.tolist()]  # the only wait for the device in a step

    def _forbid(self, log_probs: Tensor, active: list[_Sentence]) -> None:
        """Set to -inf, in `log_probs` (N, K, V), what must not come next."""
        log_probs[:, :, :EOS_ID] = -torch.inf  # PAD, UNK and BOS
        ending = [i for i, sentence in enumerate(active) if sentence.length == sentence.limit]
        if ending:
            end = log_probs[ending, :, EOS_ID]
            self._beam.forced[ending] = end < log_probs[ending].amax(dim=2)
            log_probs[ending] = -torch.inf
            log_probs[ending, :, EOS_ID] = end
        short = [
            i
            for i, sentence in enumerate(active)
            if sentence.length < min(sentence.request.options.min_length, sentence.limit)
        ]
        if short:
            log_probs[short, :, EOS_ID] = -torch.inf

    def _keep(self, beam: _Beam, chosen: Candidates, weights: Tensor) -> Tensor:
        """Make the `chosen` candidates the beam and write the history; which sentences are over.

        `beam` holds views of the active slots, `weights` is (N, K, S).
        """
        slot, step = self._slot[: len(weights)], beam.length
        places = self.beam_size - beam.finished.unsqueeze(1)
        log_prob = chosen.log_prob.masked_fill(self._place >= places, -torch.inf)
        ended = (chosen.piece == EOS_ID) & ~log_prob.isneginf()
        score = (log_prob / beam.penalty[slot, step].unsqueeze(1)).masked_fill(~ended, -torch.inf)
        self._history.piece[slot, step] = chosen.piece
        self._history.parent[slot, step] = chosen.parent
        self._history.log_prob[slot, step] = log_prob
        self._history.score[slot, step] = score
        self._history.weights[slot, step, :, : weights.shape[2]] = weights.float()
        beam.token.copy_(chosen.piece)
        beam.log_prob.copy_(log_prob.masked_fill(ended, -torch.inf))
        beam.finished.add_(ended.sum(1))
        beam.best.copy_(torch.cat([beam.best, score], dim=1).topk(self.beam_size).values)
        beam.length.add_(1)
        last = beam.best.gather(1, beam.n_best.unsqueeze(1) - 1).squeeze(1)
        return is_over(beam.log_prob, last, beam.longest)

    # Results

    def _resolve(self, slot: int, sentence: _Sentence) -> tuple[Hypothesis, ...]:
        """The best hypotheses of a sentence that is over, followed back through the history."""
        steps, options = sentence.length + 1, sentence.request.options
        pieces, parents, log_probs, scores = (
            held[slot, :steps].tolist() for held in self._history[:4]
        )
        forced = self._beam.forced[slot].tolist()
        finished = []
        for step in range(steps):
            for place, score in enumerate(scores[step]):
                if score != -torch.inf:
                    taken, path = trace(pieces, parents, step, place)
                    finished.append((-score, taken[:-1], log_probs[step][place], path))
        finished.sort(key=lambda entry: entry[:2])
        length = len(sentence.request.src) + 1
        return tuple(
            Hypothesis(
                pieces=taken,
                log_prob=log_prob,
                score=-negative,
                truncated=len(taken) == sentence.limit and forced[path[-1]],
                weights=self._history.weights[slot, self._step[: len(path)], path, :length].cpu(),
            )
            for negative, taken, log_prob, path in finished[: options.n_best]
        )

    def _progress(self, active: list[_Sentence], streamed: list[int]) -> list[Event]:
        """News for streamed sentences: the prefix of all hypotheses that can still come first."""
        events: list[Event] = []
        for slot in streamed:
            ...
        return events


def bucket(length: int) -> int:
    """`length` rounded up to a multiple of 16: attention over S then sums in the same order."""
    return -(-length // SOURCE_MULTIPLE) * SOURCE_MULTIPLE
