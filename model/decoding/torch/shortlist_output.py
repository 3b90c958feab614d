"""Shortlist output: the output layer of a lane with shortlists, with rows of its own for each slot.

Each sentence has its own list. Sentences share only the width of the buffers, and the columns that
fill them up have a score of -inf, which does not change any bit of a sum. If the
network copies, the last column belongs to its gate; a list contains all pieces of its source.
"""

# Shapes: N active sentences, K hypotheses, C width of the lists, S source length with EOS,
# F feature size, V vocabulary.

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.decoding.lexical_shortlist import Shortlist
from model.decoding.request import Request
from model.decoding.torch.inference_network import InferenceNetwork
from model.network.copying import with_copies
from model.text.tokenizer import EOS_ID

WIDTH_MULTIPLE = 64
FIRST_WIDTH = 256
MUCH_TOO_WIDE = 1.3  # times the longest list: the buffers are copied into narrower ones
END = 0
"""The column of EOS: the ids of a list ascend, and EOS is the lowest that a list can have."""


class ShortlistOutput:
    """Ids, weights and biases of each slot's list, in buffers as wide as the longest so far."""

    def __init__(
        self, network: InferenceNetwork, shortlist: Shortlist, slots: int, source: int
    ) -> None:
        """For `slots` sentences of up to `source` pieces with EOS."""
        self._network = network
        self._shortlist = shortlist
        self._slots = slots
        weight, bias = network.output_rows(torch.zeros(0, dtype=torch.long, device=network.device))
        self.ids = torch.zeros(slots, FIRST_WIDTH, dtype=torch.long, device=network.device)
        self._weight = weight.new_zeros(slots, FIRST_WIDTH, weight.shape[1])
        self._bias = bias.new_full((slots, FIRST_WIDTH), -torch.inf)
        self._sizes = [0] * slots
        self._copies = network.copies
        # For networks that copy: (slots, S) the column of each source piece, if it has one. UNK has
        # none, nor has what is not copied.
        self._column = self.ids.new_zeros(slots, source)
        self._listed = self._column.bool()
        if self._copies:
            self._gate = network.output_rows(self.ids.new_tensor([network.config.vocab_size]))

    def admit(self, slot: int, request: Request) -> None:
        """Set the list of `slot` for a new sentence, including the pieces that it demands."""
        demanded = [*request.prefix, *(id for phrase in request.constraints for id in phrase)]
        allowed = np.union1d(self._shortlist.of(request.src), np.array(demanded, dtype=np.int64))
        ids = torch.from_numpy(allowed)
        self._sizes[slot] = len(ids) + self._copies
        self._resize(max(self._sizes[slot], self.ids.shape[1]))
        if self._copies:
            source = np.array(request.copied(), dtype=np.int64)
            column = torch.from_numpy(np.searchsorted(allowed, source))
            # Behind them, an earlier sentence may have had columns that a narrower buffer lacks.
            self._column[slot] = 0
            self._column[slot, : len(column)] = column
            self._listed[slot, : len(column)] = torch.from_numpy(source >= EOS_ID)
        weight, bias = self._network.output_rows(ids.to(self.ids.device))
        self.ids[slot, : len(ids)] = ids
        self.ids[slot, len(ids) :] = 0
        self._weight[slot, : len(ids)] = weight
        self._weight[slot, len(ids) :] = 0
        self._bias[slot, : len(ids)] = bias
        self._bias[slot, len(ids) :] = -torch.inf
        self._place_gate()

    def move(self, source: int, target: int) -> None:
        """Move the list of slot `source` to slot `target`."""
        self._sizes[target] = self._sizes[source]
        for held in (self.ids, self._weight, self._bias, self._column, self._listed):
            held[target] = held[source]

    def log_scores(self, features: Tensor, weights: Tensor) -> Tensor:
        """Logits (N, K, C), fp32, for features (N, K, F); -inf in the columns that fill up.

        `weights` (N, K, S) is the attention.
        """
        count = len(features)
        longest = max(self._sizes[:count])
        if longest * MUCH_TOO_WIDE < self.ids.shape[1]:
            self._resize(longest)
        scores = self._network.listed_scores(features, self._weight[:count], self._bias[:count])
        if not self._copies:
            return scores
        gate = scores[:, :, -1].clone()
        scores[:, :, -1] = -torch.inf
        length = weights.shape[2]
        listed = weights.masked_fill(~self._listed[:count, None, :length], 0)
        return with_copies(scores, gate, listed, self._column[:count, :length])

    def scatter(self, listed: Tensor, slots: list[int]) -> Tensor:
        """(M, K, V) from `listed` (M, K, C), the columns of `slots`; -inf for all other pieces."""
        count, beam, _ = listed.shape
        full = listed.new_full((count, beam, self._network.config.vocab_size), -torch.inf)
        ids = self.ids[slots].unsqueeze(1).expand(-1, beam, -1)
        return full.scatter_(2, ids, listed)

    def _resize(self, size: int) -> None:
        """Make the buffers just wide enough for lists of `size`: products must have no gaps."""
        more = -(-size // WIDTH_MULTIPLE) * WIDTH_MULTIPLE - self.ids.shape[1]
        if more:
            if self._copies:
                self._weight[:, -1], self._bias[:, -1] = 0, -torch.inf
            self.ids = F.pad(self.ids, (0, more)).contiguous()
            self._weight = F.pad(self._weight, (0, 0, 0, more)).contiguous()
            self._bias = F.pad(self._bias, (0, more), value=-torch.inf).contiguous()
            self._place_gate()

    def _place_gate(self) -> None:
        if self._copies:
            weight, bias = self._gate
            self._weight[:, -1], self._bias[:, -1] = weight[0], bias[0]
