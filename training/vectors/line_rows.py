"""LineRows: the pairs of a batch whose sources are vectors and whose targets are lines."""

# Shapes: N pairs, S source length, W numbers in a source vector.

import numpy as np

from training.data.batching import Batch, Ids, Rows, collate
from training.vectors.frame_rows import FrameRows, stacked


class LineRows(FrameRows[Ids]):
    """Pairs of a batch before padding; targets are ids without BOS and EOS."""

    @property
    def target_tokens(self) -> int:
        """Number of target symbols or pieces with EOS, which are those that are predicted."""
        return sum(map(len, self.targets)) + len(self.targets)

    def padded(self) -> Batch:
        """Pad them to a batch, whose `src` is (N, S, W): there is no EOS after vectors."""
        none = [np.zeros(0, np.int32)] * len(self.targets)
        batch = collate(Rows.unweighted(none, self.targets))
        src, lengths = stacked(self.sources, len(batch.src))
        return batch._replace(src=src, src_lengths=lengths.clamp(min=1))
