"""Pairs/s that one process reads from the cache, segments and puts into batches.

    DRAGOMAN_DATA=... taskset -c 0 python -m benchmarks.reading [section.key=value ...]

configs/multi30k_en_de.yaml. A process that trains alone does this for all pairs, with one thread,
while it trains: it bounds the speed of its GPU. `tokenizer.sampling=0.1` segments every word anew.
(The first window loads the kernels for that.) Several share it: benchmarks.shared_reading.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np

from training.config.train_config import load_config
from training.data.learn_tokenizer import make_tokenizer
from training.data.training_set import load_training_set, make_loader

CONFIG = Path("configs/multi30k_en_de.yaml")
PASSES = 8


def main() -> int:
    """One line for each pass over the data, then the median."""
    config = load_config(CONFIG, sys.argv[1:])
    tokenizer = make_tokenizer(config)
    data = load_training_set(config.data, tokenizer, max_length=config.model.max_length)
    loader = make_loader(config, data, tokenizer)
    rates = []
    for epoch in range(PASSES):
        started = time.perf_counter()
        planned = loader.planned(epoch, 0)
        batches = [planned.batch(places) for places in planned.batches]
        rates.append(sum(len(b.sources) for b in batches) / (time.perf_counter() - started))
        pieces = np.mean([b.source_tokens + b.target_tokens for b in batches])
        print(f"pass {epoch + 1}: {rates[-1]:,.0f} pairs/s, {pieces:,.0f} pieces a batch")
    print(f"median of {PASSES}: {statistics.median(rates):,.0f} pairs/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
