"""What each process of a training holds of the data, and how long it prepares a window.

    DRAGOMAN_DATA=... torchrun --standalone --nproc-per-node 2 --no-python \\
        python -m benchmarks.shared_reading share|all CONFIG [section.key=value ...]

`share` is what dragoman-train does: each process reads and holds its share of the pairs. With `all`
each prepares the pairs of all processes, as dragoman-train did before; their ratio is what sharing
saves. Nothing is computed with the pairs.

Two windows are held, as in a training. Memory is the peak of a process above what it had when the
corpora were open; seconds are of the processor, which others that run meanwhile hardly change, and
of the wall.
"""

import statistics
import sys
import time
from collections import deque
from pathlib import Path

import torch

from training.config.train_config import load_config
from training.data.learn_tokenizer import make_tokenizer
from training.data.planned_window import PlannedWindow
from training.data.sampler import num_windows
from training.data.training_set import load_training_set, make_loader
from training.system.distributed import ALONE, joined
from training.system.memory_use import peak_bytes

WINDOWS = 7
"""The first one loads the kernels, and is not counted."""


def main() -> int:
    """A line of each process."""
    shares, path, *settings = sys.argv[1:]
    torch.set_num_threads(1)
    with joined("cpu") as world:
        config = load_config(Path(path), settings)
        tokenizer = world.shared(lambda: make_tokenizer(config))
        length = config.model.max_length
        data = load_training_set(config.data, tokenizer, max_length=length, world=world)
        loader = make_loader(config, data, tokenizer, world if shares == "share" else ALONE)
        kept: deque[PlannedWindow] = deque(maxlen=2)
        took: list[tuple[float, float]] = []
        pairs: list[int] = []

        def prepare() -> None:
            for number in range(WINDOWS):
                world.highest(number)  # they begin together
                started = time.perf_counter(), time.process_time()
                kept.append(loader.planned(*divmod(number, num_windows(loader.counts))))
                took.append((time.perf_counter() - started[0], time.process_time() - started[1]))
                pairs.append(sum(len(one.held.sources) for one in kept))

        peak = peak_bytes(prepare, torch.device("cpu"))
        wall, processor = (statistics.median(one) for one in zip(*took[1:], strict=True))
        sys.stdout.write(  # in one piece, since several processes write
            f"{shares}, process {world.rank} of {world.size}: {len(kept)} windows with "
            f"{pairs[-1]:,} pairs of {sum(loader.sizes):,}, {peak / 1e6:.1f} MB, a window in "
            f"{processor:.2f} s of the processor, {wall:.2f} s\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
