"""Lane: the slots of one beam size, in which sentences are searched side by side.

A sentence joins as soon as a slot is free and leaves in the step it finishes. All state lies in
buffers of fixed size. The active slots are always the first ones, so a step works on views of them
and copies only what the search selects.

A sentence's result does not depend on the others, to the bit on the CPU: each tensor row belongs to
one sentence, and nothing here sums over rows. What depends on shapes is fixed by `admission` for
the encoder and by the network's own step for the decoder.

What few searches use is decided by `rules`, for the rows of the sentences that use it: the others
pay nothing for it.
"""

# Shapes: N active sentences, K hypotheses (the beam), R = N*K rows, V vocabulary, S source length
# with EOS, T target length with EOS.

import torch
from torch import Tensor

from model.decoding.admission import Encoded, Queue, encode, padded_length
from model.decoding.beam import Beam
from model.decoding.history import History
from model.decoding.listed import END, Listed
from model.decoding.options import length_limit
from model.decoding.packed import PackedNetwork
from model.decoding.request import Event, Finished
from model.decoding.rules import Rules, score_bound
from model.decoding.search import Candidates, Extensions, is_over
from model.decoding.sentence import Ruled, Sentence, has_rules
from model.decoding.shortlist import Shortlist
from model.decoding.streaming import progress
from model.network.decoder import DecoderState
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID, PAD_ID


class Lane:
    """Slots for sentences of one beam size, and the queue of those that wait for one."""

    def __init__(
        self,
        network: Seq2Seq | PackedNetwork,
        *,
        beam_size: int,
        slots: int,
        max_source: int,
        max_length: int,
        continues: Tensor,
        shortlist: Shortlist | None,
    ) -> None:
        """Buffers for `slots` sentences of up to `max_source` pieces and `max_length` outputs.

        `continues`, `shortlist`: see `Engine`.
        """
        self.waiting = Queue(network)
        self._network = network
        self._beam_size = beam_size
        self._slots = slots
        self._active: list[Sentence | None] = []  # None: freed since the last step
        device = network.device
        source = padded_length((PAD_ID,) * max_source)
        steps = max_length + 1
        self._allocate(encode(network, [(PAD_ID,)])[0], source, steps, device)
        self._history = History(
            slots=slots, steps=steps, beam_size=beam_size, source=source, device=device
        )
        self._chooser: Extensions | None = None
        self._listed = None
        if shortlist is not None:
            assert isinstance(network, PackedNetwork), "refused by the engine"
            self._listed = Listed(network, shortlist, slots)
        self._rules = Rules(
            slots=slots, beam_size=beam_size, steps=steps, source=source, continues=continues
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
        return events + progress(self._active, self._beam, self._history)

    def _allocate(self, shown: Encoded, source: int, steps: int, device: torch.device) -> None:
        """Memory, state and beam of all slots; an encoded sentence shows the network's shapes."""
        slots, beam = self._slots, self._beam_size

        def zeros(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        # Zeros, because a weight of 0 times what `empty` may contain is not always 0.
        self._memory = Memory(
            *(zeros(slots, source, *x.shape[1:], dtype=x.dtype) for x in shown.memory)
        )
        self._state = DecoderState(
            *(zeros(slots * beam, *x.shape, dtype=x.dtype) for x in shown.state)
        )
        self._beam = Beam.allocate(slots, beam, steps, device)
        self._place = torch.arange(beam, device=device)
        self._first_row = torch.arange(0, slots * beam, beam, device=device).unsqueeze(1)

    # Joining and leaving

    def _fill(self) -> list[Sentence]:
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

    def _admit(self, slot: int) -> Sentence:
        """Put the sentence that has waited longest into `slot`."""
        id, request, encoded = self.waiting.pop()
        options = request.options
        limit = length_limit(options, len(request.src))
        # Behind the sentence the values of an earlier one stay; the mask gives them a weight of 0.
        self._memory.mask[slot] = False
        for held, new in zip(self._memory, encoded.memory, strict=True):
            held[slot, : len(new)] = new
        for held, new in zip(self._state, encoded.state, strict=True):
            held[slot * self._beam_size : (slot + 1) * self._beam_size] = new
        self._beam.begin(slot, options, limit)
        if self._listed is not None:
            self._listed.admit(slot, request)
        sentence = Sentence(id, request, limit, ruled=has_rules(request))
        if sentence.ruled:
            self._rules.admit(slot, sentence)
        return sentence

    def _move(self, source: int, target: int, sentence: Sentence) -> None:
        """Move `sentence` from slot `source` to slot `target`."""
        state = (held.view(self._slots, self._beam_size, *held.shape[1:]) for held in self._state)
        for held in (*self._memory, *state, *self._beam):
            held[target] = held[source]
        self._history.move(source, target, sentence.length, padded_length(sentence.request.src))
        if self._listed is not None:
            self._listed.move(source, target)
        if sentence.ruled:
            self._rules.move(source, target)

    def _finish(self, slot: int, sentence: Sentence) -> Finished:
        forced = self._beam.forced[slot].tolist()
        hypotheses = self._history.resolve(slot, sentence.length, sentence.request, forced)
        return Finished(sentence.id, hypotheses)

    # One step

    def _extend(self, active: list[Sentence]) -> list[bool]:
        """Extend the hypotheses of the active sentences by one piece; which sentences are over."""
        count = len(active)
        ruled = Ruled.of(active)
        beam = Beam(*(held[:count] for held in self._beam))
        following, logits, weights = self._run_network(active)
        log_probs = self._normalise(logits)
        own = log_probs[ruled.slots] if ruled.slots else None  # a copy: both are changed in place
        end = EOS_ID if self._listed is None else END
        self._forbid(log_probs, active, list(range(count)), end)
        chosen = self._choose(beam, log_probs)
        if self._listed is not None:
            chosen.piece.copy_(self._listed.ids[:count].gather(1, chosen.piece))
            own = None if own is None else self._listed.scatter(own, ruled.slots)
        if own is not None:
            self._choose_by_rules(beam, own, ruled, chosen)
        over = self._keep(beam, chosen, weights, ruled)
        self._reorder(following, chosen)
        return [bool(flag) for flag in over.tolist()]  # the one wait for the device in a step

    def _run_network(self, active: list[Sentence]) -> tuple[DecoderState, Tensor, Tensor]:
        """The next state, logits (N, K, V) or of the listed pieces, and weights (N, K, S)."""
        count = len(active)
        source = max(padded_length(sentence.request.src) for sentence in active)
        memory = Memory(*(held[:count, :source] for held in self._memory))
        state = DecoderState(*(held[: count * self._beam_size] for held in self._state))
        following, features, weights = self._network.step(self._beam.token[:count], state, memory)
        if self._listed is not None:
            return following, self._listed.log_scores(features), weights
        return following, self._network.log_scores(features, weights, memory), weights

    def _normalise(self, logits: Tensor) -> Tensor:
        """fp32 log-probabilities over the whole vocabulary."""
        return logits.float().log_softmax(dim=2)

    def _forbid(
        self, log_probs: Tensor, sentences: list[Sentence], slots: list[int], end_column: int
    ) -> None:
        """Set to -inf, in the `log_probs` (M, K, V) of `sentences`, what no search allows next."""
        log_probs[:, :, :end_column] = -torch.inf  # PAD, UNK and BOS
        ending = [i for i, sentence in enumerate(sentences) if sentence.length == sentence.limit]
        if ending:
            end = log_probs[ending, :, end_column]
            forced = end < log_probs[ending].amax(dim=2)
            self._beam.forced[[slots[i] for i in ending]] = forced
            log_probs[ending] = -torch.inf
            log_probs[ending, :, end_column] = end
        short = [
            i
            for i, sentence in enumerate(sentences)
            if sentence.length < min(sentence.request.options.min_length, sentence.limit)
        ]
        if short:
            log_probs[short, :, end_column] = -torch.inf

    def _choose(self, beam: Beam, log_probs: Tensor) -> Candidates:
        """The best candidates of each sentence, -inf where the beam has no place left."""
        chosen = self._extensions(log_probs.shape[2]).best(log_probs, beam.log_prob)
        free = (self._beam_size - beam.finished).unsqueeze(1)
        return chosen._replace(
            log_prob=chosen.log_prob.masked_fill(self._place >= free, -torch.inf)
        )

    def _extensions(self, pieces: int) -> Extensions:
        """For so many pieces: all, or as many as the lists are wide at the moment."""
        if self._chooser is None or self._chooser.vocab != pieces:
            self._chooser = Extensions(self._beam_size, pieces, self._place.device)
        return self._chooser

    def _choose_by_rules(
        self, beam: Beam, log_probs: Tensor, ruled: Ruled, chosen: Candidates
    ) -> None:
        """Put what the rules choose in place of the `chosen` candidates of the `ruled` sentences.

        `log_probs` (M, K, V) are those of the M ruled sentences.
        """
        slots, end = ruled.slots, log_probs[:, :, EOS_ID].clone()
        self._forbid(log_probs, ruled.sentences, slots, EOS_ID)
        alive, finished = beam.log_prob[slots], beam.finished[slots]
        own = self._rules.choose(ruled, log_probs, end, alive, finished)
        for held, new in zip(chosen, own, strict=True):
            held[slots] = new

    def _keep(self, beam: Beam, chosen: Candidates, weights: Tensor, ruled: Ruled) -> Tensor:
        """Make the `chosen` candidates the beam, in views `beam` of the active slots.

        Returns:
            (N,) which sentences are over.
        """
        ended = (chosen.piece == EOS_ID) & (chosen.log_prob > -torch.inf)
        penalty = beam.penalty.gather(1, beam.length.unsqueeze(1))
        score = chosen.log_prob / penalty
        if ruled.slots:
            own = Candidates(*(held[ruled.slots] for held in chosen))
            self._rules.follow(ruled, own, weights[ruled.slots])
            score[ruled.slots] += self._rules.extra_score(ruled)
        score.masked_fill_(~ended, -torch.inf)
        self._history.record(beam.length, chosen, score, weights)
        beam.token.copy_(chosen.piece)
        beam.log_prob.copy_(chosen.log_prob.masked_fill(ended, -torch.inf))
        beam.length.add_(1)
        beam.finished.add_(ended.sum(dim=1))
        beam.best.copy_(torch.cat([beam.best, score], dim=1).topk(self._beam_size).values)
        last = beam.best.gather(1, beam.n_best.unsqueeze(1) - 1).squeeze(1)
        over = is_over(beam.log_prob, last, beam.longest)
        if ruled.slots:
            alive = beam.log_prob[ruled.slots].amax(dim=1)
            # One more piece than before the step: `length` of the host is counted up afterwards.
            bound = alive / beam.longest[ruled.slots]
            bound += bound.new_tensor([score_bound(s, s.length + 1) for s in ruled.sentences])
            over[ruled.slots] = alive.isneginf() | (bound < last[ruled.slots])
        return over

    def _reorder(self, following: DecoderState, chosen: Candidates) -> None:
        """Make the state that of the chosen hypotheses."""
        rows = (self._first_row[: len(chosen.parent)] + chosen.parent).flatten()
        for held, new in zip(self._state, following, strict=True):
            if held.numel():  # a field that this network does not use comes back as it went in
                torch.index_select(new, 0, rows, out=held[: len(rows)])
