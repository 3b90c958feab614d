"""Shortlist output: the output layer of a lane with shortlists, with rows of its own for each slot.

Each sentence has its own list. Sentences share only the width of the buffers, and the columns that
fill them up have a score of -inf, which does not change any bit of a sum.
"""

# Shapes: N active sentences, K hypotheses, C width of the lists, F feature size, V vocabulary.

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.decoding.lexical_shortlist import Shortlist
from model.decoding.request import Request
from model.decoding.torch.inference_network import InferenceNetwork

WIDTH_MULTIPLE = 64
FIRST_WIDTH = 256
MUCH_TOO_WIDE = 1.3  # times the longest list: the buffers are copied into narrower ones
END = 0
"""The column of EOS: the ids of a list ascend, and EOS is the lowest that a list can have."""


class ShortlistOutput:
    """Ids, weights and biases of each slot's list, in buffers as wide as the longest so far."""

    def __init__(self, network: InferenceNetwork, shortlist: Shortlist, slots: int) -> None:
        self._network = network
        self._shortlist = shortlist
        self._slots = slots
        weight, bias = network.output_rows(torch.zeros(0, dtype=torch.long, device=network.device))
        self.ids = torch.zeros(slots, FIRST_WIDTH, dtype=torch.long, device=network.device)
        self._weight = weight.new_zeros(slots, FIRST_WIDTH, weight.shape[1])
        self._bias = bias.new_full((slots, FIRST_WIDTH), -torch.inf)
        self._sizes = [0] * slots

    def admit(self, slot: int, request: Request) -> None:
        """Set the list of `slot` for a new sentence, including the pieces that it demands."""
        demanded = [*request.prefix, *(id for phrase in request.constraints for id in phrase)]
        allowed = np.union1d(self._shortlist.of(request.src), np.array(demanded, dtype=np.int64))
        ids = torch.from_numpy(allowed)
        self._sizes[slot] = len(ids)
        self._resize(max(len(ids), self.ids.shape[1]))
        weight, bias = self._network.output_rows(ids.to(self.ids.device))
        self.ids[slot, : len(ids)] = ids
        self.ids[slot, len(ids) :] = 0
        self._weight[slot, : len(ids)] = weight
        self._weight[slot, len(ids) :] = 0
        self._bias[slot, : len(ids)] = bias
        self._bias[slot, len(ids) :] = -torch.inf

    def move(self, source: int, target: int) -> None:
        """Move the list of slot `source` to slot `target`."""
        self._sizes[target] = self._sizes[source]
        for held in (self.ids, self._weight, self._bias):
            held[target] = held[source]

    def log_scores(self, features: Tensor) -> Tensor:
        """Logits (N, K, C), fp32, for features (N, K, F); -inf in the columns that fill up."""
        count = len(features)
        longest = max(self._sizes[:count])
        if longest * MUCH_TOO_WIDE < self.ids.shape[1]:
            self._resize(longest)
        return self._network.listed_scores(features, self._weight[:count], self._bias[:count])

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
            self.ids = F.pad(self.ids, (0, more)).contiguous()
            self._weight = F.pad(self._weight, (0, 0, 0, more)).contiguous()
            self._bias = F.pad(self._bias, (0, more), value=-torch.inf).contiguous()
