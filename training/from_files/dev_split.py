"""Dev split: pairs that are held out for validation, none of whose sides is in the training text.

Texts count as equal if their letters and digits are, whatever the case. The pairs are those with
the lowest hashes, so that the same pairs in another order or other files give the same dev set.
"""

# Shapes: N pairs, K held out.

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from model.io.lines import atomic_output
from training.config.data_config import CorpusConfig, DataConfig
from training.from_files.survey import Survey, read_all

FEWEST_PAIRS = 100
"""With fewer there is nothing to learn from, let alone to measure."""
DEV_SHARE, FEWEST_DEV, MOST_DEV = 0.05, 100, 1000
MOST_LOST = 0.2
"""Greatest share of the training pairs that may be left out because the dev set has one side."""

FILES = ("train.source", "train.target", "dev.source", "dev.target")
"""What `write_split` writes."""


class Split(NamedTuple):
    """Which pairs go where."""

    dev: NDArray[np.bool_]  # (N,)
    lost: NDArray[np.bool_]  # (N,) left out of the training: the dev set has one of their sides

    @property
    def train(self) -> NDArray[np.bool_]:
        """(N,) what is left for the training."""
        return ~(self.dev | self.lost)


def dev_size(pairs: int) -> int:
    """Choose how many of so many pairs are held out: 5 %, between 100 and 1,000.

    Of fewer than 500 pairs it is a fifth.
    """
    return min(max(round(DEV_SHARE * pairs), min(FEWEST_DEV, pairs // 5)), MOST_DEV)


def choose_dev(survey: Survey) -> Split:
    """Choose the dev set; pairs whose sides occur nowhere else come first, as they cost nothing.

    Raises:
        DataError: there are too few pairs, or they repeat so much that no split is left.
    """
    fit = np.flatnonzero(survey.fit)
    distinct = len(np.unique(survey.pair_keys[fit]))
    if distinct < FEWEST_PAIRS:
        raise DataError(
            f"only {distinct:,} different pairs with text on both sides, of {survey.pairs:,}. "
            f"Give at least {FEWEST_PAIRS}; a useful model needs tens of thousands."
        )
    cost = _others(survey.source_keys)[fit] + _others(survey.target_keys)[fit]
    ordered = fit[np.lexsort((survey.pair_keys[fit], cost))]
    _, first = np.unique(survey.source_keys[ordered], return_index=True)  # each source once
    rows = ordered[np.sort(first)][: dev_size(distinct)]
    dev = np.zeros(survey.pairs, np.bool_)
    dev[rows] = True
    lost = np.isin(survey.source_keys, survey.source_keys[rows])
    lost |= np.isin(survey.target_keys, survey.target_keys[rows])
    lost &= ~dev
    if lost.sum() > MOST_LOST * survey.pairs:
        raise DataError(
            f"the pairs repeat so much that a dev set apart from the training would cost it "
            f"{lost.sum():,} of {survey.pairs:,} pairs. Give your own with --dev-source and "
            "--dev-target."
        )
    return Split(dev=dev, lost=lost)


def overlap(survey: Survey, dev: Survey) -> int:
    """Count the pairs of a corpus with a side that a given dev set has."""
    shared = np.isin(survey.source_keys, dev.source_keys)
    return int((shared | np.isin(survey.target_keys, dev.target_keys)).sum())


def write_split(folder: Path, corpus: CorpusConfig, data: DataConfig, split: Split) -> None:
    """Write the pairs of `corpus` to `FILES` in `folder`; each file appears when it is complete.

    Raises:
        DataError: a file cannot be read, or the file system refused.
    """
    train_source, train_target, dev_source, dev_target = (folder / name for name in FILES)
    with (
        atomic_output(train_source) as train_src,
        atomic_output(train_target) as train_tgt,
        atomic_output(dev_source) as dev_src,
        atomic_output(dev_target) as dev_tgt,
    ):
        for row, pair in enumerate(read_all(corpus, data)):
            if row == len(split.dev):
                raise DataError("the files grew while they were read. Start again.")
            if split.lost[row]:
                continue
            src, tgt = (dev_src, dev_tgt) if split.dev[row] else (train_src, train_tgt)
            src.write(f"{pair.source}\n".encode())
            tgt.write(f"{pair.target}\n".encode())


def _others(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Count for each key (N,) how many others are equal to it."""
    _, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return counts[place] - 1
