"""NativeSearch: the search of a lane in int8 on a CPU, a sequence of calls of compiled kernels.

Its arrays share the memory of the tensors in `Slots`, so rules, history and streaming work as in
every other search.
"""

# Shapes: N slots, K hypotheses, R rows (hypotheses that are alive), M rows of state, S source
# length with EOS, T target length with EOS, W columns of the logits, V vocabulary.

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from model.decoding.beam_search import Candidates
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.native.beams import keep, list_rows
from model.decoding.native.compiled import bound
from model.decoding.native.copying import NativeCopying
from model.decoding.native.extensions import best_extensions
from model.decoding.native.native_shortlist_output import NativeShortlistOutput
from model.decoding.native.network import Buffers, NativeEncoded, NativeNetwork
from model.decoding.native.product import Floats
from model.decoding.native.search_arrays import (
    BeamArrays,
    BestArrays,
    CandidateArrays,
    HistoryArrays,
    LimitArrays,
    RowArrays,
    RuleScores,
    ScanArrays,
    shared,
)
from model.decoding.native.step_rows import StepRows
from model.decoding.request import Request
from model.decoding.rules.rules import score_bound
from model.decoding.sentence import Ruled, Sentence
from model.decoding.state.slots import Slots
from model.text.tokenizer import EOS_ID

CHUNK = 8
"""Sentences whose logits are computed at once, few enough to stay in the cache until read."""


class NativeSearch:
    """Holds the state of all slots of a lane, and advances it step by step."""

    encode_rows = 32
    """The most sources that `encode` takes."""

    def __init__(self, network: NativeNetwork, slots: Slots, shortlist: Shortlist | None) -> None:
        self.slots = slots
        self._network = network
        count, beam, source = slots.count, slots.beam_size, slots.source
        rows, config = count * beam, network.config
        self._memory = network.memory(count, source)
        # After the rows of hypotheses there is one for the first state of each slot.
        self._old, self._new = (network.state(rows + count, source) for _ in range(2))
        self._buffers = Buffers(network, rows, source)
        self._shortlist_output = (
            None if shortlist is None else NativeShortlistOutput(network, shortlist, count)
        )
        self._copying = NativeCopying(count, source) if network.copies else None
        self._logits = np.empty((CHUNK * beam, network.output.width), np.float32)
        self._scan = ScanArrays(
            columns=np.full(count, config.vocab_size, np.int32),
            skip=np.zeros(count, np.bool_),
            maxima=np.empty(self._logits.shape[1], np.float32),
        )
        self._rows = RowArrays(
            row=np.full((count, beam), -1, np.int32), source=np.zeros((count, beam), np.int32)
        )
        self._step = StepRows(*(np.zeros(rows, np.int32) for _ in StepRows._fields))
        self._chosen = Candidates(
            torch.zeros(count, beam),
            torch.zeros(count, beam, dtype=torch.long),
            torch.zeros(count, beam, dtype=torch.long),
        )
        self._candidates = shared(CandidateArrays, self._chosen)
        self._rules = RuleScores(
            extra=np.zeros((count, beam), np.float32), most=np.zeros(count, np.float32)
        )
        self._over = np.zeros(count, np.bool_)
        self._beam = shared(BeamArrays, slots.beam)
        self._limits = shared(LimitArrays, slots.beam)
        self._best = shared(BestArrays, slots.beam)
        self._history = shared(HistoryArrays, slots.history)
        self._weights: Floats = slots.history.weights.view(-1, source).numpy()
        self._threads = ThreadPoolExecutor(2) if torch.get_num_threads() > 1 else None
        self._bind()

    def _bind(self) -> None:
        """Bind the kernels to the types of the structures."""
        beam, limits, best = self._beam, self._limits, self._best
        chosen, rows, scan = self._candidates, self._rows, self._scan
        self._list_rows = bound(list_rows, 0, 0, beam, rows, self._step)
        self._best_extensions = bound(
            best_extensions, 0, 0, self._logits, 0, 0, rows.row, scan, beam, limits, chosen
        )
        if self._copying is not None:
            self._copying.bind(self._logits, rows.row, scan, self._step.place, self._weights)
        self._keep = bound(
            keep, 0, chosen, self._rules, rows, beam, best, self._history, self._over
        )

    @staticmethod
    def group(src: tuple[int, ...]) -> int:
        """Return the same group for all sources: any of them may be encoded together."""
        return 0

    def encode(self, requests: list[Request]) -> list[NativeEncoded]:
        """Encode sources of any lengths."""
        return self._network.encode([request.src for request in requests], self._threads)

    def admit(self, slot: int, sentence: Sentence, encoded: NativeEncoded) -> None:
        """Begin a sentence in `slot`."""
        self.slots.admit(slot, sentence)
        length = len(encoded.values)
        self._memory.values[slot, :length] = encoded.values
        self._memory.keys[slot, :length] = encoded.keys
        self._memory.length[slot] = length
        self._rules.extra[slot], self._rules.most[slot] = 0, 0
        first = self.slots.count * self.slots.beam_size + slot
        self._rows.source[slot] = first
        self._old.attentional[first] = 128
        self._old.coverage[first] = 0
        for number, layer in enumerate(self._old.layers):
            layer.hidden[first] = encoded.hidden[number]
            layer.carry[first] = encoded.carry[number]
        if self._shortlist_output is not None:
            self._scan.columns[slot] = self._shortlist_output.admit(slot, sentence.request)
        if self._copying is not None:
            source = np.array(sentence.request.copied(), np.int64)
            if self._shortlist_output is not None:
                source = self._shortlist_output.columns_of(
                    slot, int(self._scan.columns[slot]), source
                )
            self._copying.admit(slot, source)

    def move(self, source: int, target: int, sentence: Sentence) -> None:
        """Move `sentence` from slot `source` to slot `target`."""
        self.slots.move(source, target, sentence)
        length = self._memory.length[source]
        for held in (self._memory.values, self._memory.keys):
            held[target, :length] = held[source, :length]
        for array in (self._memory.length, self._rows.source, self._scan.columns):
            array[target] = array[source]
        self._rules.extra[target], self._rules.most[target] = 0, 0
        if self._shortlist_output is not None:
            self._shortlist_output.move(source, target)
        if self._copying is not None:
            self._copying.move(source, target)

    def extend(self, active: list[Sentence]) -> list[bool]:
        """Extend the hypotheses of the active sentences by one piece; tell which are over."""
        count, ruled, step, beam = len(active), Ruled.of(active), self._step, self._beam
        rows = self._list_rows(count, self.slots.steps, beam, self._rows, step)
        self._network.step(
            rows, step, self._old, self._new, self._memory, self._weights, self._buffers
        )
        self._choose(count, ruled)
        if ruled.slots:
            self._follow_rules(ruled)
        self._keep(
            count,
            self._candidates,
            self._rules,
            self._rows,
            beam,
            self._best,
            self._history,
            self._over,
        )
        self._old, self._new = self._new, self._old
        over: list[bool] = self._over[:count].tolist()
        return over

    def _choose(self, count: int, ruled: Ruled) -> None:
        """Write the candidates that become hypotheses, a few sentences at a time."""
        row, scan = self._rows.row, self._scan
        scan.skip[:count] = False
        scan.skip[ruled.slots] = True
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
            if self._copying is not None:
                self._copying.add(first, some, logits, offset, row)
            own += [
                self._log_probs(slot, logits, offset)
                for slot in ruled.slots
                if first <= slot < first + some
            ]
            self._best_extensions(
                first,
                some,
                logits,
                offset,
                end,
                row,
                scan,
                self._beam,
                self._limits,
                self._candidates,
            )
        if self._shortlist_output is not None:
            column = self._candidates.piece
            column[ruled.slots] = 0  # they hold pieces of an earlier step, not columns
            self._shortlist_output.name(count, column)
        if own:
            chosen = self.slots.choose_by_rules(ruled, torch.stack(own))
            for held, new in zip(self._chosen, chosen, strict=True):
                held[ruled.slots] = new

    def _log_probs(self, slot: int, logits: Floats, offset: int) -> Tensor:
        """Return the log-probabilities (K, V) of a sentence, arbitrary where nothing is alive."""
        rows = np.maximum(self._rows.row[slot] - offset, 0)
        pieces = self._scan.columns[slot]
        found = torch.from_numpy(logits[rows, :pieces]).log_softmax(dim=1)
        if self._shortlist_output is None:
            return found
        full = found.new_full((len(rows), self._network.config.vocab_size), -torch.inf)
        full[:, torch.from_numpy(self._shortlist_output.ids[slot, :pieces])] = found
        return full

    def _follow_rules(self, ruled: Ruled) -> None:
        """Tell the rules what was chosen, and ask them what they add to scores."""
        rules, slots, history = self.slots.rules, ruled.slots, self.slots.history
        own = Candidates(*(held[slots] for held in self._chosen))
        length = [sentence.length for sentence in ruled.sentences]
        longest = max(len(sentence.request.src) for sentence in ruled.sentences) + 1
        weights = history.weights[slots, length, :, :longest]
        alive = torch.from_numpy(self._rows.row[slots] >= 0)
        for n, sentence in enumerate(ruled.sentences):
            weights[n, :, len(sentence.request.src) + 1 :] = 0
        weights.masked_fill_(~alive.unsqueeze(2), 0)  # none were written for the others
        rules.follow(ruled, own, weights)
        self._rules.extra[slots] = rules.extra_score(ruled).numpy()
        # One more piece than `length`, which the host increases only after the step.
        self._rules.most[slots] = [score_bound(s, s.length + 1) for s in ruled.sentences]
