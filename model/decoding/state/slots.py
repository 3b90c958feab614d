"""Slots: the state of the sentences in flight that all searches share.

The active slots are always the first ones. Each row of every tensor belongs to one sentence.
"""

# Shapes: N slots, K hypotheses (the beam).

import torch
from torch import Tensor

from model.decoding.beam_search import Candidates, Hypothesis
from model.decoding.request import Event
from model.decoding.rules.rules import Rules
from model.decoding.rules.word_limits import PieceWords
from model.decoding.sentence import Ruled, Sentence
from model.decoding.state.beam import Beam
from model.decoding.state.history import History
from model.decoding.state.stable_prefix import progress
from model.text.tokenizer import EOS_ID


class Slots:
    """Beams, back-pointers and rules of `count` sentences."""

    def __init__(
        self,
        *,
        count: int,
        beam_size: int,
        steps: int,
        source: int,
        continues: Tensor,
        words: PieceWords,
        places: slice | None = None,
        ruled_source: int | None = None,
    ) -> None:
        """For up to `source` pieces with EOS and padding, and `steps` outputs with EOS.

        Args:
            continues, words: see `Engine`; the device of both is that of all buffers.
            places: see `History`.
            ruled_source: the source pieces that rules have to read; `source` if None.
        """
        self.count, self.beam_size, self.source = count, beam_size, source
        self.steps = steps + 1
        """The last step belongs to no sentence: results for idle slots go there."""
        self.device = continues.device
        self.beam = Beam.allocate(count, beam_size, self.steps, self.device)
        self.history = History(
            slots=count,
            steps=self.steps,
            beam_size=beam_size,
            source=source,
            device=self.device,
            places=places,
        )
        self.rules = Rules(
            slots=count,
            beam_size=beam_size,
            steps=steps,
            source=source if ruled_source is None else ruled_source,
            continues=continues,
            words=words,
        )

    def admit(self, slot: int, sentence: Sentence) -> None:
        """Begin a sentence in `slot`."""
        self.beam.begin(slot, sentence.request.options, sentence.limit)
        if sentence.ruled:
            self.rules.admit(slot, sentence)

    def move(self, source: int, target: int, sentence: Sentence) -> None:
        """Move `sentence` from slot `source` to slot `target`."""
        for held in self.beam:
            held[target] = held[source]
        self.history.move(source, target, sentence.length, len(sentence.request.src) + 1)
        if sentence.ruled:
            self.rules.move(source, target)

    def finish(self, slot: int, sentence: Sentence) -> tuple[Hypothesis, ...]:
        """Return the hypotheses of a finished sentence."""
        # Not `sentence.length`: the host may learn some steps late that it is finished.
        steps = int(self.beam.length[slot])
        forced = self.beam.forced[slot].tolist()
        return self.history.resolve(slot, steps, sentence.request, forced)

    def progress_events(self, active: list[Sentence | None]) -> list[Event]:
        """Return the new events of streamed sentences; `active` is by slot."""
        return progress(active, self.beam, self.history)

    def choose_by_rules(self, ruled: Ruled, log_probs: Tensor) -> Candidates:
        """Choose by the rules from `log_probs` (M, K, V) of the ruled sentences; changes them."""
        end = log_probs[:, :, EOS_ID].clone()
        self._forbid(log_probs, ruled)
        alive, finished = self.beam.log_prob[ruled.slots], self.beam.finished[ruled.slots]
        return self.rules.choose(ruled, log_probs, end, alive, finished)

    def _forbid(self, log_probs: Tensor, ruled: Ruled) -> None:
        """Set `log_probs` (M, K, V) of the ruled sentences to -inf where no search allows them."""
        log_probs[:, :, :EOS_ID] = -torch.inf
        ending = ruled.rows_of(lambda sentence: sentence.length == sentence.limit)
        if ending:
            end = log_probs[ending, :, EOS_ID]
            forced = end < log_probs[ending].amax(dim=2)
            self.beam.forced[ruled.slots_of(ending)] = forced
            log_probs[ending] = -torch.inf
            log_probs[ending, :, EOS_ID] = end
        short = ruled.rows_of(lambda s: s.length < min(s.request.options.min_length, s.limit))
        if short:
            log_probs[short, :, EOS_ID] = -torch.inf
