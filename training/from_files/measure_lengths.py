"""Lengths in pieces of the pairs of a corpus, on which its settings depend."""

import numpy as np

from model.text.tokenizer import Tokenizer
from training.from_files.choose_settings import KEPT, Statistics
from training.from_files.data_settings import DividedData


def measure_lengths(data: DividedData, tokenizer: Tokenizer) -> Statistics:
    """Count the pieces of a sample of the pairs."""
    sides = [
        np.array([len(tokenizer.encode(line)) for line in side])
        for side in (data.sample.sources, data.sample.targets)
    ]
    return Statistics(
        pairs=data.pairs,
        source_pieces=max(float(sides[0].mean()), 1.0),
        target_pieces=max(float(sides[1].mean()), 1.0),
        longest=int(np.quantile(np.maximum(*sides), KEPT, method="higher")),
    )
