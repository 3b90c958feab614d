"""NativeSearch: the search of a lane in int8 on a CPU, as calls of compiled kernels.

Its buffers are arrays that share the memory of the tensors in `Slots`, so rules, history and
streaming are those of every search.
"""

# Shapes: N slots, K hypotheses, R rows (hypotheses that are alive), M rows of state, S source
# length with EOS, T target length with EOS, W columns of the logits, V vocabulary.

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from model.decoding.beam_search import Candidates
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.native.beams import BeamArrays, keep, list_rows
from model.decoding.native.extensions import best_extensions
from model.decoding.native.native_shortlist_output import NativeShortlistOutput
from model.decoding.native.network import (
    Buffers,
    NativeEncoded,
    NativeMemory,
    NativeNetwork,
    NativeStep,
)
from model.decoding.native.product import Floats
from model.decoding.rules.rules import score_bound
from model.decoding.sentence import Ruled, Sentence
from model.decoding.state.slots import Slots
from model.text.tokenizer import EOS_ID

CHUNK = 8
"""Sentences whose logits are computed at once: they stay in the cache until they are read."""


class NativeSearch:
    """State and step of all slots of a lane."""

    encode_rows = 32
    """Sources that `encode` takes at most."""

    def __init__(self, network: NativeNetwork, slots: Slots, shortlist: Shortlist | None) -> None:
        self.slots = slots
        self._network = network
        count, beam, source = slots.count, slots.beam_size, slots.source
        rows, config = count * beam, network.config
        self._memory = NativeMemory(
            np.zeros((count, source, config.encoder_size), np.float32),
            np.zeros((count, source, network.key_width), np.float32),
            np.zeros(count, np.int32),
        )
        # Behind the rows of hypotheses a row for the first state of each slot.
        self._old, self._new = network.state(rows + count), network.state(rows + count)
        self._buffers = Buffers(network, rows, source)
        self._shortlist_output = (
            None if shortlist is None else NativeShortlistOutput(network, shortlist, count)
        )
        self._columns = np.full(count, config.vocab_size, np.int32)
        self._logits = np.empty((CHUNK * beam, network.output.width), np.float32)
        self._maxima = np.empty(self._logits.shape[1], np.float32)
        self._source = np.zeros((count, beam), np.int32)
        self._row = np.full((count, beam), -1, np.int32)
        self._step = NativeStep(rows, *(np.zeros(rows, np.int32) for _ in range(4)))
        self._chosen = Candidates(
            torch.zeros(count, beam),
            torch.zeros(count, beam, dtype=torch.long),
            torch.zeros(count, beam, dtype=torch.long),
        )
        self._numbers = tuple(held.numpy() for held in self._chosen)
        self._extra, self._more = np.zeros((count, beam), np.float32), np.zeros(count, np.float32)
        self._ruled, self._over = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        b, h = slots.beam, slots.history
        self._beam = BeamArrays.of(b)
        self._forced = b.forced.numpy()
        self._told = (h.piece.numpy(), h.parent.numpy())
        self._told_scores = (h.log_prob.numpy(), h.score.numpy())
        self._weights: Floats = h.weights.view(-1, source).numpy()
        self._threads = ThreadPoolExecutor(2) if torch.get_num_threads() > 1 else None

    @staticmethod
    def group(src: tuple[int, ...]) -> int:
        """Any sources may be encoded together."""
        return 0

    def encode(self, sources: list[tuple[int, ...]]) -> list[NativeEncoded]:
        """Encode sources of any lengths."""
        return self._network.encode(sources, self._threads)

    def admit(self, slot: int, sentence: Sentence, encoded: NativeEncoded) -> None:
        """Begin a sentence in `slot`."""
        self.slots.admit(slot, sentence)
        length = len(encoded.values)
        self._memory.values[slot, :length] = encoded.values
        self._memory.keys[slot, :length] = encoded.keys
        self._memory.length[slot] = length
        self._extra[slot], self._more[slot] = 0, 0
        first = self.slots.count * self.slots.beam_size + slot
        self._source[slot] = first
        self._old.attentional[first] = 128
        for number, layer in enumerate(self._old.layers):
            layer.hidden[first] = encoded.hidden[number]
            layer.carry[first] = encoded.carry[number]
        if self._shortlist_output is not None:
            self._columns[slot] = self._shortlist_output.admit(slot, sentence.request)

    def move(self, source: int, target: int, sentence: Sentence) -> None:
        """Move `sentence` from slot `source` to slot `target`."""
        self.slots.move(source, target, sentence)
        length = self._memory.length[source]
        for held in (self._memory.values, self._memory.keys):
            held[target, :length] = held[source, :length]
        for array in (
            self._memory.length,
            self._source,
            self._columns,
        ):
            array[target] = array[source]
        self._extra[target], self._more[target] = 0, 0
        if self._shortlist_output is not None:
            self._shortlist_output.move(source, target)

    def extend(self, active: list[Sentence]) -> list[bool]:
        """Extend the hypotheses of the active sentences by one piece; which sentences are over."""
        count, ruled, step, beam = len(active), Ruled.of(active), self._step, self._beam
        rows = list_rows(
            count,
            beam.token,
            beam.log_prob,
            beam.length,
            self._source,
            self.slots.steps,
            self._row,
            step.piece,
            step.origin,
            step.sentence,
            step.place,
        )
        now = NativeStep(rows, step.piece, step.origin, step.sentence, step.place)
        self._network.step(now, self._old, self._new, self._memory, self._weights, self._buffers)
        self._choose(count, ruled)
        if ruled.slots:
            self._follow_rules(ruled)
        new_log_prob, parent, piece = self._numbers
        keep(
            count,
            new_log_prob,
            parent,
            piece,
            self._extra,
            self._more,
            self._row,
            beam.token,
            beam.log_prob,
            beam.length,
            beam.finished,
            beam.best,
            beam.n_best,
            beam.penalty,
            beam.longest,
            self._source,
            *self._told,
            *self._told_scores,
            self._over,
        )
        self._old, self._new = self._new, self._old
        over: list[bool] = self._over[:count].tolist()
        return over

    def _choose(self, count: int, ruled: Ruled) -> None:
        """Write the candidates that the beams keep: some sentences at a time."""
        beam, row = self._beam, self._row
        new_log_prob, parent, column = self._numbers
        self._ruled[:count] = False
        self._ruled[ruled.slots] = True
        own: list[Tensor] = []
        end = EOS_ID if self._shortlist_output is None else 0
        features = self._new.attentional
        for first in range(0, count, CHUNK):
            some = min(CHUNK, count - first)
            alive = row[first : first + some]
            used = alive[alive >= 0]
            offset, rows = int(used[0]), len(used)
            if self._shortlist_output is None:
                logits = self._logits
                self._network.output(features[offset : offset + rows], rows, logits)
            else:
                logits = self._shortlist_output.logits(first, some, alive, offset, features)
            own += [
                self._log_probs(slot, logits, offset)
                for slot in ruled.slots
                if first <= slot < first + some
            ]
            best_extensions(
                first,
                some,
                logits,
                offset,
                self._columns,
                end,
                row,
                beam.log_prob,
                beam.length,
                beam.limit,
                beam.shortest,
                beam.finished,
                self._ruled,
                self._maxima,
                self._forced,
                new_log_prob,
                parent,
                column,
            )
        if self._shortlist_output is not None:
            column[ruled.slots] = 0  # of an earlier step, pieces and not columns
            self._shortlist_output.name(count, column)
        if own:
            chosen = self.slots.choose_by_rules(ruled, torch.stack(own))
            for held, new in zip(self._chosen, chosen, strict=True):
                held[ruled.slots] = new

    def _log_probs(self, slot: int, logits: Floats, offset: int) -> Tensor:
        """(K, V) of one sentence; of hypotheses that are not alive anything."""
        rows = np.maximum(self._row[slot] - offset, 0)
        pieces = self._columns[slot]
        found = torch.from_numpy(logits[rows, :pieces]).log_softmax(dim=1)
        if self._shortlist_output is None:
            return found
        full = found.new_full((len(rows), self._network.config.vocab_size), -torch.inf)
        full[:, torch.from_numpy(self._shortlist_output.ids[slot, :pieces])] = found
        return full

    def _follow_rules(self, ruled: Ruled) -> None:
        """Let the state of the rules follow what was chosen; what scores have beside."""
        rules, slots, history = self.slots.rules, ruled.slots, self.slots.history
        own = Candidates(*(held[slots] for held in self._chosen))
        length = [sentence.length for sentence in ruled.sentences]
        longest = max(len(sentence.request.src) for sentence in ruled.sentences) + 1
        weights = history.weights[slots, length, :, :longest]
        alive = torch.from_numpy(self._row[slots] >= 0)
        for n, sentence in enumerate(ruled.sentences):
            weights[n, :, len(sentence.request.src) + 1 :] = 0
        weights.masked_fill_(~alive.unsqueeze(2), 0)  # nothing was written for the others
        rules.follow(ruled, own, weights)
        self._extra[slots] = rules.extra_score(ruled).numpy()
        # One more piece than before the step: `length` of the host is counted up afterwards.
        self._more[slots] = [score_bound(s, s.length + 1) for s in ruled.sentences]
