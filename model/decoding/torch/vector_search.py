"""VectorSearch: the search of a lane whose network gives vectors: each prediction is fed back.

There is nothing to choose, so it has one hypothesis for each sentence and no beam, and a sentence
is over after as many steps as its options allow. As in `TorchSearch`, each row of a tensor belongs
to one sentence, and its bits depend on no other.
"""

# Shapes: N slots, S source length with padding, T steps, W numbers in an output vector.

import torch
from torch import Tensor

from model.decoding.beam_search import Hypothesis
from model.decoding.request import Event, Request
from model.decoding.sentence import Sentence
from model.decoding.torch.encode import ENCODE_ROWS, Encoded, blank_source, encode, padded_length
from model.network.decoder import DecoderState
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import PAD_ID


class VectorSlots:
    """The outputs so far of the sentences in flight, normalised."""

    def __init__(self, count: int, steps: int, width: int, network: Seq2Seq) -> None:
        """For `count` sentences of up to `steps` steps."""
        self.count = count
        # Empty, not zeros: memory that no sentence is long enough to use is then never touched.
        self.outputs = torch.empty(count, steps, width, device=network.device)  # (N, T, W) fp32

    def finish(self, slot: int, sentence: Sentence) -> tuple[Hypothesis, ...]:
        """The only hypothesis of a finished sentence."""
        vectors = self.outputs[slot, : sentence.length].cpu().clone()
        return (
            Hypothesis(
                pieces=(PAD_ID,) * len(vectors),
                log_prob=0.0,
                token_log_probs=(),
                score=0.0,
                truncated=False,
                weights=torch.zeros(len(vectors), 0),
                vectors=vectors,
            ),
        )

    def progress_events(self, active: list[Sentence | None]) -> list[Event]:
        """None: nothing is told before a sentence is finished."""
        return []


class VectorSearch:
    """State and step of all slots of a lane."""

    encode_rows = ENCODE_ROWS
    """Sources that `encode` takes at most, all of the same `group`."""

    def __init__(self, network: Seq2Seq, *, count: int, steps: int, source: int) -> None:
        """For `count` sentences of up to `source` steps with padding and `steps` outputs."""
        width = network.config.target_width
        self.slots = VectorSlots(count, steps, width, network)
        self._network = network
        (shown,) = encode(network, [blank_source(network.config)])

        def zeros(*shape: int, like: Tensor) -> Tensor:
            return torch.zeros(count, *shape, dtype=like.dtype, device=like.device)

        # Zeros, because a weight of 0 times the contents of `empty` is not always 0.
        self._memory = Memory(*(zeros(source, *x.shape[1:], like=x) for x in shown.memory))
        self._state = DecoderState(*(zeros(*x.shape, like=x) for x in shown.state))
        self._previous = zeros(1, width, like=network.output.weight)  # (N, 1, W)

    @staticmethod
    def group(src: tuple[int, ...]) -> int:
        """The group of a source; sources of the same group may be encoded together."""
        return padded_length(src)

    def encode(self, requests: list[Request]) -> list[Encoded]:
        """Encode the sources of one group."""
        return encode(self._network, [request.source for request in requests])

    def admit(self, slot: int, sentence: Sentence, encoded: Encoded) -> None:
        """Begin a sentence in `slot`, with the mean of all outputs as its previous one."""
        # After it, values of an earlier one remain; the mask gives them a weight of 0.
        self._memory.mask[slot] = False
        for held, new in zip(self._memory, encoded.memory, strict=True):
            held[slot, : len(new)] = new
        for held, new in zip(self._state, encoded.state, strict=True):
            held[slot] = new
        self._previous[slot] = 0

    def move(self, source: int, target: int, sentence: Sentence) -> None:
        """Move `sentence` from slot `source` to slot `target`."""
        for held in (*self._memory, *self._state, self._previous):
            held[target] = held[source]
        self.slots.outputs[target, : sentence.length] = self.slots.outputs[
            source, : sentence.length
        ]

    def extend(self, active: list[Sentence]) -> list[bool]:
        """Extend every active sentence by one vector, and return which are over."""
        count = len(active)
        source = max(padded_length(sentence.request.src) for sentence in active)
        memory = Memory(*(held[:count, :source] for held in self._memory))
        state = DecoderState(*(held[:count] for held in self._state))
        following, features, weights = self._network.step(self._previous[:count], state, memory)
        predicted = self._network.log_scores(features, weights, memory)
        for held, new in zip(state, following, strict=True):
            held.copy_(new)
        self._previous[:count] = predicted
        steps = [sentence.length for sentence in active]
        self.slots.outputs[range(count), steps] = predicted[:, 0].float()
        return [sentence.length + 1 == sentence.limit for sentence in active]
