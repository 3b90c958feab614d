"""Lane: the slots of one beam size, in which sentences are searched side by side.

A sentence joins as soon as a slot is free and leaves in the step it finishes. All state lies in
buffers of fixed size. The active slots are always the first ones, so a step works on views of them
and copies only what the search selects.

A sentence's result does not depend on the others, to the bit on the CPU: each tensor row belongs to
one sentence, and nothing here sums over rows. What depends on shapes is fixed by `admission` for
the encoder and by the network's own step for the decoder.
"""

# Shapes: N active sentences, K hypotheses (the beam), R = N*K rows, V vocabulary, S source length
# with EOS, T target length with EOS.

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from model.decoding.admission import Encoded, Queue, encode, padded_length
from model.decoding.history import History
from model.decoding.options import length_limit
from model.decoding.request import Event, Finished, Progress, Request
from model.decoding.search import Candidates, best_candidates, is_over, length_penalty
from model.network.decoder import DecoderState
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import BOS_ID, EOS_ID, PAD_ID


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
    best: Tensor  # (N, K) their scores, best first, then -inf
    forced: Tensor  # (N, K) at the length limit: the hypothesis would rather have gone on
    n_best: Tensor  # (N,)
    penalty: Tensor  # (N, T) length penalty of what finishes in each step
    longest: Tensor  # (N,) the last of them that this sentence can reach


class Lane:
    """Slots for sentences of one beam size, and the queue of those that wait for one."""

    def __init__(
        self, network: Seq2Seq, *, beam_size: int, slots: int, max_source: int, max_length: int
    ) -> None:
        """Buffers for `slots` sentences of up to `max_source` pieces and `max_length` outputs."""
        self.waiting = Queue(network)
        self._network = network
        self._beam_size = beam_size
        self._slots = slots
        self._active: list[_Sentence | None] = []  # None: freed since the last step
        device = network.output.weight.device
        source = padded_length((PAD_ID,) * max_source)
        self._allocate(encode(network, [(PAD_ID,)])[0], source, max_length + 1, device)
        self._history = History(
            slots=slots, steps=max_length + 1, beam_size=beam_size, source=source, device=device
        )

    @property
    def busy(self) -> bool:
        """Whether a sentence is active or waiting."""
        return len(self.waiting) > 0 or any(self._active)

    def cancel(self, id: int) -> bool:
        """Forget the sentence `id`; False if it is not here."""
        if self.waiting.cancel(id):
            return True
        for slot, sentence in enumerate(self._active):
            if sentence is not None and sentence.id == id:
                self._active[slot] = None
                return True
        return False

    def step(self) -> list[Event]:
        """Fill free slots, extend every active sentence by one piece, hand over the finished."""
        active = self._fill()
        if not active:
            return []
        over = self._extend(active)
        events: list[Event] = []
        for slot, sentence in enumerate(active):
            sentence.length += 1
            if over[slot]:
                events.append(self._finish(slot, sentence))
                self._active[slot] = None
        return events + self._progress()

    def _allocate(self, shown: Encoded, source: int, steps: int, device: torch.device) -> None:
        """Memory, state and beam of all slots; an encoded sentence shows the network's shapes."""
        slots, beam = self._slots, self._beam_size

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        # Zeros, because a weight of 0 times what `empty` may contain is not always 0.
        self._memory = Memory(
            *(zeros(slots, source, *x.shape[1:], dtype=x.dtype) for x in shown.memory)
        )
        self._state = DecoderState(
            *(zeros(slots * beam, *x.shape, dtype=x.dtype) for x in shown.state)
        )
        self._beam = _Beam(
            token=zeros(slots, beam, dtype=torch.long),
            log_prob=zeros(slots, beam),
            length=zeros(slots, dtype=torch.long),
            finished=zeros(slots, dtype=torch.long),
            best=zeros(slots, beam),
            forced=zeros(slots, beam, dtype=torch.bool),
            n_best=zeros(slots, dtype=torch.long),
            penalty=zeros(slots, steps),
            longest=zeros(slots),
        )
        self._place = torch.arange(beam, device=device)
        self._first_row = torch.arange(0, slots * beam, beam, device=device).unsqueeze(1)

    # Joining and leaving

    def _fill(self) -> list[_Sentence]:
        """Waiting sentences take the free slots; the last active ones move into what remains free.

        Returns:
            The active sentences, that of slot i at i.
        """
        holes = [slot for slot, sentence in enumerate(self._active) if sentence is None]
        holes.reverse()
        while len(self.waiting) and (holes or len(self._active) < self._slots):
            slot = holes.pop() if holes else len(self._active)
            self._active[slot : slot + 1] = [self._admit(slot)]
        for hole in holes:  # from the highest down, so that the last slot is never another hole
            last = self._active.pop()
            if last is not None:
                self._move(len(self._active), hole, last)
                self._active[hole] = last
        return [sentence for sentence in self._active if sentence is not None]

    def _admit(self, slot: int) -> _Sentence:
        """Put the sentence that has waited longest into `slot`."""
        id, request, encoded = self.waiting.pop()
        options, beam = request.options, self._beam
        limit = length_limit(options, len(request.src))
        # Behind the sentence the values of an earlier one stay; the mask gives them a weight of 0.
        self._memory.mask[slot] = False
        for held, new in zip(self._memory, encoded.memory, strict=True):
            held[slot, : len(new)] = new
        for held, new in zip(self._state, encoded.state, strict=True):
            held[slot * self._beam_size : (slot + 1) * self._beam_size] = new
        beam.token[slot] = BOS_ID
        beam.log_prob[slot] = -torch.inf
        beam.log_prob[slot, 0] = 0.0
        beam.length[slot] = 0
        beam.finished[slot] = 0
        beam.best[slot] = -torch.inf
        beam.n_best[slot] = options.n_best
        beam.penalty[slot, : limit + 1] = length_penalty(options, torch.arange(1, limit + 2))
        beam.longest[slot] = beam.penalty[slot, limit]
        return _Sentence(id, request, limit)

    def _move(self, source: int, target: int, sentence: _Sentence) -> None:
        """Move `sentence` from slot `source` to slot `target`."""
        state = (held.view(self._slots, self._beam_size, *held.shape[1:]) for held in self._state)
        for held in (*self._memory, *state, *self._beam):
            held[target] = held[source]
        self._history.move(source, target, sentence.length, padded_length(sentence.request.src))

    def _finish(self, slot: int, sentence: _Sentence) -> Finished:
        forced = self._beam.forced[slot].tolist()
        hypotheses = self._history.resolve(slot, sentence.length, sentence.request, forced)
        return Finished(sentence.id, hypotheses)

    def _progress(self) -> list[Event]:
        """News of streamed sentences whose stable prefix has grown."""
        streamed = [
            (slot, sentence)
            for slot, sentence in enumerate(self._active)
            if sentence is not None and sentence.request.stream
        ]
        if not streamed:
            return []
        slots = [slot for slot, _ in streamed]
        best, alive = self._beam.best[slots, 0], self._beam.log_prob[slots]
        contenders = alive / self._beam.longest[slots].unsqueeze(1) >= best.unsqueeze(1)
        prefixes = self._history.stable_prefixes(
            slots,
            [sentence.length for _, sentence in streamed],
            contenders & (alive > -torch.inf),
            best,
        )
        events: list[Event] = []
        for (_, sentence), prefix in zip(streamed, prefixes, strict=True):
            if len(prefix) > sentence.reported:
                sentence.reported = len(prefix)
                events.append(Progress(sentence.id, prefix))
        return events

    # One step

    def _extend(self, active: list[_Sentence]) -> list[bool]:
        """Extend the hypotheses of the active sentences by one piece; which sentences are over."""
        count = len(active)
        source = max(padded_length(sentence.request.src) for sentence in active)
        beam = _Beam(*(held[:count] for held in self._beam))
        memory = Memory(*(held[:count, :source] for held in self._memory))
        state = DecoderState(*(held[: count * self._beam_size] for held in self._state))
        following, features, weights = self._network.step(beam.token, state, memory)
        logits = self._network.log_scores(features, weights, memory)
        log_probs = logits.float().log_softmax(dim=2)
        self._forbid(log_probs, active)
        chosen = best_candidates(log_probs.add_(beam.log_prob.unsqueeze(2)))
        over = self._keep(beam, chosen, weights)
        rows = (self._first_row[:count] + chosen.parent).flatten()
        for held, new in zip(state, following, strict=True):
            if held.numel():  # a field that this network does not use comes back as it went in
                torch.index_select(new, 0, rows, out=held)
        return [bool(flag) for flag in over.tolist()]  # the one wait for the device in a step

    def _forbid(self, log_probs: Tensor, active: list[_Sentence]) -> None:
        """Set to -inf, in `log_probs` (N, K, V), the pieces that must not come next."""
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
        """Make the `chosen` candidates the beam, in views `beam` of the active slots.

        Returns:
            (N,) which sentences are over.
        """
        free = (self._beam_size - beam.finished).unsqueeze(1)
        chosen = chosen._replace(
            log_prob=chosen.log_prob.masked_fill(self._place >= free, -torch.inf)
        )
        ended = (chosen.piece == EOS_ID) & (chosen.log_prob > -torch.inf)
        penalty = beam.penalty.gather(1, beam.length.unsqueeze(1))
        score = (chosen.log_prob / penalty).masked_fill(~ended, -torch.inf)
        self._history.record(beam.length, chosen, score, weights)
        beam.token.copy_(chosen.piece)
        beam.log_prob.copy_(chosen.log_prob.masked_fill(ended, -torch.inf))
        beam.length.add_(1)
        beam.finished.add_(ended.sum(dim=1))
        beam.best.copy_(torch.cat([beam.best, score], dim=1).topk(self._beam_size).values)
        last = beam.best.gather(1, beam.n_best.unsqueeze(1) - 1).squeeze(1)
        return is_over(beam.log_prob, last, beam.longest)
