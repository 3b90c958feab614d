"""TorchSearch: the search of a lane with torch, on any device.

A step works on views of the first slots and copies only what the search selects. Its tensors have
fixed sizes. The result of a sentence does not depend on the others, on a CPU to the bit: each row
of a tensor belongs to one sentence, and nothing here sums over rows. Bits that could depend on
shapes are fixed by `encode` for the encoder, and by the step of the network for the decoder.
"""

# Shapes: N active sentences, K hypotheses (the beam), R = N*K rows, V vocabulary, S source length
# with EOS, T target length with EOS.

import torch
from torch import Tensor

from model.decoding.beam_search import Candidates, Extensions, is_over
from model.decoding.cuda.graphs import CapturedRunner, CudaCapture, NoCapture, PlainRunner, Runner
from model.decoding.cuda.launch import FEWEST_SENTENCES, SHORTEST_SOURCE, StepLaunch, bucket
from model.decoding.cuda.side_stream import SideStream, sent
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.request import Request
from model.decoding.rules.rules import score_bound
from model.decoding.sentence import Ruled, Sentence
from model.decoding.state.beam import Beam
from model.decoding.state.slots import Slots
from model.decoding.torch.encode import ENCODE_ROWS, Encoded, blank_source, encode, padded_length
from model.decoding.torch.finished_flags import FinishedFlags
from model.decoding.torch.inference_network import InferenceNetwork
from model.decoding.torch.shortlist_output import END, ShortlistOutput
from model.network.decoder import DecoderState
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID

NONE_RULED = Ruled([], [])


class TorchSearch:
    """State and step of all slots of a lane."""

    encode_rows = ENCODE_ROWS
    """Sources that `encode` takes at most, all of the same `group`."""

    def __init__(
        self,
        network: Seq2Seq | InferenceNetwork,
        slots: Slots,
        shortlist: Shortlist | None,
        launch: StepLaunch,
        bank: Encoded | None = None,
    ) -> None:
        """`bank`: the only sentence of the only slot, whose memory is used as it is, not copied."""
        self.slots = slots
        self._network = network
        self._launch = launch
        self._side = SideStream(network.device)
        self._beam_size = beam = slots.beam_size
        device = network.device
        self._adopted = bank is not None
        self._allocate(bank or self._encoded([blank_source(network.config)])[0], device)
        self._place = torch.arange(beam, device=device)
        self._first_row = torch.arange(0, slots.count * beam, beam, device=device).unsqueeze(1)
        self._chooser = Extensions(beam, network.config.vocab_size, device)
        self._flags, self._steps = FinishedFlags(slots.count, device), 0
        self._runner: Runner = PlainRunner()
        if launch.captured and shortlist is None:
            capture = CudaCapture(device) if device.type == "cuda" else NoCapture()
            changed = [*slots.beam, *self._state]
            self._runner = CapturedRunner(capture, changed, slots.beam.over)
        self._shortlist_output = None
        if shortlist is not None:
            assert isinstance(network, InferenceNetwork), "refused by the engine"
            self._shortlist_output = ShortlistOutput(network, shortlist, slots.count, slots.source)

    def _allocate(self, shown: Encoded, device: torch.device) -> None:
        """Allocate memory and state of all slots, in the shapes of an encoded sentence."""
        slots, source = self.slots.count, self.slots.source

        def zeros(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        if self._adopted:
            self._memory = Memory(*(x.unsqueeze(0) for x in shown.memory))
        else:
            # Zeros, because a weight of 0 times the contents of `empty` is not always 0. The mask
            # lets every slot attend to something, even one that never held a sentence.
            self._memory = Memory(
                *(zeros(slots, source, *x.shape[1:], dtype=x.dtype) for x in shown.memory)
            )
            self._memory.mask[:, 0] = True
        rows = slots * self._beam_size
        self._state = DecoderState(*(zeros(rows, *x.shape, dtype=x.dtype) for x in shown.state))
        coverage = shown.state.coverage
        if coverage.numel():  # as wide as the longest source
            wide = zeros(rows, *coverage.shape[:-1], source, dtype=coverage.dtype)
            self._state = self._state._replace(coverage=wide)

    @staticmethod
    def group(src: tuple[int, ...]) -> int:
        """The group of a source; sources of the same group may be encoded together."""
        return padded_length(src)

    def encode(self, requests: list[Request]) -> list[Encoded]:
        """Encode the sources of one group."""
        return self._encoded([request.source for request in requests])

    def _encoded(self, sources: list[tuple[int, ...] | Tensor]) -> list[Encoded]:
        encoded, ready = self._side.run(lambda: encode(self._network, sources))
        return [one._replace(ready=ready) for one in encoded]

    def admit(self, slot: int, sentence: Sentence, encoded: Encoded) -> None:
        """Begin a sentence in `slot`."""
        self._side.join(encoded.ready, (*encoded.memory, *encoded.state))
        self.slots.admit(slot, sentence)
        if not self._adopted:
            # After it, values of an earlier one remain; the mask gives them a weight of 0.
            self._memory.mask[slot] = False
            for held, new in zip(self._memory, encoded.memory, strict=True):
                held[slot, : len(new)] = new
        if sentence.request.uncopied:
            copied = torch.tensor(sentence.request.copied())
            self._memory.src[slot, : len(copied)] = sent(copied, self._network.device)
        for held, new in zip(self._state, encoded.state, strict=True):
            rows = held[slot * self._beam_size : (slot + 1) * self._beam_size]
            rows[..., : new.shape[-1]] = new
        if self._shortlist_output is not None:
            self._shortlist_output.admit(slot, sentence.request)

    def move(self, source: int, target: int, sentence: Sentence) -> None:
        """Move `sentence` from slot `source` to slot `target`."""
        self.slots.move(source, target, sentence)
        beam = self._beam_size
        state = (held.view(self.slots.count, beam, *held.shape[1:]) for held in self._state)
        for held in (*self._memory, *state):
            held[target] = held[source]
        if self._shortlist_output is not None:
            self._shortlist_output.move(source, target)

    def extend(self, active: list[Sentence]) -> list[bool]:
        """Extend the hypotheses of the active sentences by one piece.

        Returns:
            Which sentences are over, as far as the host knows. Others may be over, too: extending
            them changes nothing.
        """
        ruled = Ruled.of(active)
        count, source = self._shape(active)
        self.slots.beam.over[len(active) : count].fill_(True)
        if ruled.slots:
            self._step(count, source, ruled)
        else:
            self._runner.run(self._step_without_rules, count, source)
        over = self._newly_over(active, at_once=bool(ruled.slots))
        return [sentence.id in over for sentence in active]

    def _shape(self, active: list[Sentence]) -> tuple[int, int]:
        """The number of slots that a step extends, and of source pieces that it attends to."""
        source = max(padded_length(sentence.request.src) for sentence in active)
        if not self._launch.bucketed:
            return len(active), min(source, self.slots.source)
        return (
            bucket(len(active), FEWEST_SENTENCES, self.slots.count),
            bucket(source, SHORTEST_SOURCE, self.slots.source),
        )

    def _newly_over(self, active: list[Sentence], *, at_once: bool) -> set[int]:
        """Return the ids of sentences that are now known to be finished.

        The host is never more than twice `flags_every` steps ahead of the device. With rules it
        must know `at_once`, because they count pieces on the host.
        """
        over: set[int] = set()
        self._steps += 1
        if at_once or self._steps % self._launch.flags_every == 0:
            over = self._flags.read(wait=True)
            self._flags.ask(self.slots.beam.over[: len(active)], active)
        return over | self._flags.read(wait=at_once)

    def _step_without_rules(self, count: int, source: int) -> None:
        self._step(count, source, NONE_RULED)

    def _step(self, count: int, source: int, ruled: Ruled) -> None:
        """Extend the first `count` slots, none with more than `source` pieces, EOS counted.

        Without rules it only reads and writes buffers on the device, always by the same operations,
        and waits for nothing. In idle slots it changes nothing that is read.
        """
        beam = Beam(*(held[:count] for held in self.slots.beam))
        following, logits, weights = self._run_network(count, source)
        log_probs = logits.float().log_softmax(dim=2)
        own = log_probs[ruled.slots] if ruled.slots else None  # a copy: both are changed in place
        chosen = self._choose(beam, log_probs)
        if self._shortlist_output is not None:
            chosen.piece.copy_(self._shortlist_output.ids[:count].gather(1, chosen.piece))
            own = None if own is None else self._shortlist_output.scatter(own, ruled.slots)
        if own is not None:
            for held, new in zip(chosen, self.slots.choose_by_rules(ruled, own), strict=True):
                held[ruled.slots] = new
        self._keep(beam, chosen, weights, ruled)
        self._reorder(following, chosen)

    def _run_network(self, count: int, source: int) -> tuple[DecoderState, Tensor, Tensor]:
        """The next state, logits (N, K, V) or those of listed pieces, and weights (N, K, S)."""
        memory = Memory(*(held[:count, :source] for held in self._memory))
        state = self._state_of(count * self._beam_size, source)
        following, features, weights = self._network.step(
            self.slots.beam.token[:count], state, memory
        )
        if self._shortlist_output is not None:
            logits = self._shortlist_output.log_scores(features, weights)
            return following, logits, weights
        return following, self._network.log_scores(features, weights, memory), weights

    def _state_of(self, rows: int, source: int) -> DecoderState:
        """Views of the first `rows` rows, where coverage has `source` positions."""
        state = DecoderState(*(held[:rows] for held in self._state))
        return state._replace(coverage=state.coverage[..., :source])

    def _choose(self, beam: Beam, log_probs: Tensor) -> Candidates:
        """The best candidates of each sentence, -inf where the beam has no place left.

        `log_probs` (N, K, V) is set to -inf where no search allows a piece.
        """
        column = EOS_ID if self._shortlist_output is None else END
        log_probs[:, :, :column].fill_(-torch.inf)  # PAD, UNK and BOS
        end = log_probs[:, :, column].clone()
        short = (beam.length < beam.shortest).unsqueeze(1)
        log_probs[:, :, column].masked_fill_(short, -torch.inf)
        extensions = self._extensions(log_probs.shape[2])
        chosen, largest = extensions.best_with_largest(log_probs, beam.log_prob)
        # At the limit only EOS may follow. This costs less than forbidding all other pieces.
        ending = ((beam.length == beam.limit) & ~beam.over).unsqueeze(1)
        beam.forced.copy_(torch.where(ending, end < largest, beam.forced))
        last = extensions.best_of_one(end, beam.log_prob, column)
        both = zip(last, chosen, strict=True)
        chosen = Candidates(*(torch.where(ending, one, other) for one, other in both))
        free = (self._beam_size - beam.finished).masked_fill(beam.over, 0).unsqueeze(1)
        return chosen._replace(
            log_prob=chosen.log_prob.masked_fill(self._place >= free, -torch.inf)
        )

    def _extensions(self, pieces: int) -> Extensions:
        """The `Extensions` for `pieces`: all, or the current width of the shortlists."""
        if self._chooser.vocab != pieces:
            self._chooser = Extensions(self._beam_size, pieces, self._place.device)
        return self._chooser

    def _keep(self, beam: Beam, chosen: Candidates, weights: Tensor, ruled: Ruled) -> None:
        """Make the `chosen` candidates the new beam, in views `beam` of the active slots."""
        ended = (chosen.piece == EOS_ID) & (chosen.log_prob > -torch.inf)
        step = beam.length.masked_fill(beam.over, self.slots.steps - 1)
        penalty = beam.penalty.gather(1, step.unsqueeze(1))
        score = chosen.log_prob / penalty
        if ruled.slots:
            own = Candidates(*(held[ruled.slots] for held in chosen))
            self.slots.rules.follow(ruled, own, weights[ruled.slots])
            score[ruled.slots] += self.slots.rules.extra_score(ruled)
        score.masked_fill_(~ended, -torch.inf)
        self.slots.history.record(step, chosen, score, weights)
        beam.token.copy_(chosen.piece)
        beam.log_prob.copy_(chosen.log_prob.masked_fill(ended, -torch.inf))
        beam.length.add_(~beam.over)
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
        beam.over.copy_(over)  # an idle one stays idle: nothing in it is alive

    def _reorder(self, following: DecoderState, chosen: Candidates) -> None:
        """Replace the state by that of the chosen hypotheses."""
        rows = (self._first_row[: len(chosen.parent)] + chosen.parent).flatten()
        state = self._state_of(len(rows), following.coverage.shape[-1])
        for held, new in zip(state, following, strict=True):
            if held.numel():  # a field that this network does not use comes back unchanged
                torch.index_select(new, 0, rows, out=held)
